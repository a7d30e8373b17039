// The module that classes import.
import { host } from "callgate/host";

export { OutgoingMessage } from "callgate/message";

/** What a class can know of the server itself. */
export const callgate = Object.freeze({
  get sessionCookieName() {
    return host.sessionCookieName;
  },
});
