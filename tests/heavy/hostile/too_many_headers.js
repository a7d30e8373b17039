// expects: raised
import { OutgoingMessage } from "callgate";
export default class TooManyHeaders {
  run() {
    const message = new OutgoingMessage();
    for (let at = 0; at < 1000; at += 1) message.setHeader(`x-${at}`, "1");
    return message;
  }
}
