// `console`: lines into the structured log of callgate.
import { host } from "callgate/host";
import { line } from "callgate/inspect";

export const console = Object.freeze({
  debug: (...values) => host.console("debug", line(values)),
  log: (...values) => host.console("info", line(values)),
  info: (...values) => host.console("info", line(values)),
  warn: (...values) => host.console("warn", line(values)),
  error: (...values) => host.console("error", line(values)),
});
