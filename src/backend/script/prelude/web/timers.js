// Timers. They belong to the request that sets them, and end with it.
import { callback } from "callgate/check";
import { host } from "callgate/host";

/** The current timer of an interval, by the number of the interval. */
const intervals = new Map();
/** Most intervals that are tracked: more than one class can have at once. */
const INTERVALS_MAX = 65536;

export function setTimeout(action, delay, ...values) {
  callback(action, "setTimeout");
  return host.setTimeout(millis(delay), () => void action(...values), false);
}

export function setInterval(action, delay, ...values) {
  callback(action, "setInterval");
  const again = () => {
    // The next timer is set first, so that an action that throws does not end its interval.
    intervals.set(first, host.setTimeout(millis(delay), again, true));
    action(...values);
  };
  const first = host.setTimeout(millis(delay), again, true);
  intervals.set(first, first);
  // Intervals that are never cleared end with their requests without being removed here.
  if (intervals.size > INTERVALS_MAX) intervals.delete(intervals.keys().next().value);
  return first;
}

export function clearTimeout(timer) {
  if (typeof timer !== "number") return;
  host.clearTimeout(intervals.get(timer) ?? timer);
  intervals.delete(timer);
}

/** The shortest delay is one millisecond, so that an interval cannot starve other calls. */
function millis(delay) {
  return Math.max(1, Number(delay) || 0);
}
