// expects: raised
import { OutgoingMessage } from "callgate";
export default class UnsafeHeader {
  run() {
    return new OutgoingMessage().setHeader("x-a", "1\r\nset-cookie: a=b");
  }
}
