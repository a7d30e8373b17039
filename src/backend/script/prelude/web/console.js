// `console`: writes to callgate's structured log.
import { host } from "callgate/host";
import { line } from "callgate/inspect";

export const console = Object.freeze({
  debug: (...values) => host.console("debug", line(values).toWellFormed()),
  log: (...values) => host.console("info", line(values).toWellFormed()),
  info: (...values) => host.console("info", line(values).toWellFormed()),
  warn: (...values) => host.console("warn", line(values).toWellFormed()),
  error: (...values) => host.console("error", line(values).toWellFormed()),
});
