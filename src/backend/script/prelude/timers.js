// Timers. They belong to the request that sets them, and end with it.
import { callback } from "callgate/check";
import { host } from "callgate/host";

/** By the number of an interval, the timer that it waits for now. */
const intervals = new Map();
/** Intervals that are remembered: more than can be alive in one class at once. */
const INTERVALS_MAX = 65536;

export function setTimeout(action, delay, ...values) {
  callback(action, "setTimeout");
  return host.setTimeout(millis(delay), () => void action(...values), false);
}

export function setInterval(action, delay, ...values) {
  callback(action, "setInterval");
  const again = () => {
    // First, so that an action that throws does not end its interval.
    intervals.set(first, host.setTimeout(millis(delay), again, true));
    action(...values);
  };
  const first = host.setTimeout(millis(delay), again, true);
  intervals.set(first, first);
  // Those that were never cleared ended with their requests, and nobody said so.
  if (intervals.size > INTERVALS_MAX) intervals.delete(intervals.keys().next().value);
  return first;
}

export function clearTimeout(timer) {
  if (typeof timer !== "number") return;
  host.clearTimeout(intervals.get(timer) ?? timer);
  intervals.delete(timer);
}

/** A delay of nothing is one millisecond: an interval must let others have their turn. */
function millis(delay) {
  return Math.max(1, Number(delay) || 0);
}
