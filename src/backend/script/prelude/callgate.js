// The module that classes import.
export { OutgoingMessage } from "callgate/message";
