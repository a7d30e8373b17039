// Formats values for the log.

/** A class of the prelude defines its log format in a method of this name. */
export const described = Symbol("described");

/** Limits on nesting and on the members of one object. */
const DEPTH_MAX = 4;
const MEMBERS_MAX = 100;

/** A line of the log. Strings are written as they are, other values with `inspect`. */
export function line(values) {
  return values.map((value) => (typeof value === "string" ? value : inspect(value))).join(" ");
}

/** A value in one line. If reading the value throws, the exception is shown instead. */
export function inspect(value, outer = []) {
  try {
    return shown(value, outer);
  } catch (error) {
    return `[threw ${typeof error === "object" ? "an object" : String(error)}]`;
  }
}

function shown(value, outer) {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return `[function ${value.name || "without a name"}]`;
    case "object":
      return value === null ? "null" : shownObject(value, outer);
    default:
      return String(value);
  }
}

function shownObject(value, outer) {
  if (outer.includes(value)) return "[itself]";
  if (typeof value[described] === "function") return value[described]();
  if (value instanceof Error) return shownError(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) return "Promise";
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength} bytes)`;
  if (outer.length === DEPTH_MAX) return Array.isArray(value) ? "[…]" : "{…}";
  const inside = [...outer, value];
  if (Array.isArray(value)) return `[${members(value, (item) => inspect(item, inside))}]`;
  if (value instanceof Set) return `Set {${members([...value], (item) => inspect(item, inside))}}`;
  if (value instanceof Map) {
    const pair = ([key, item]) => `${inspect(key, inside)} => ${inspect(item, inside)}`;
    return `Map {${members([...value], pair)}}`;
  }
  const name = Object.getPrototypeOf(value)?.constructor?.name ?? "Object";
  const member = ([key, item]) => `${key}: ${inspect(item, inside)}`;
  return `${name === "Object" ? "" : `${name} `}{${members(Object.entries(value), member)}}`;
}

function members(list, show) {
  const more = list.length > MEMBERS_MAX ? [`… ${list.length - MEMBERS_MAX} more`] : [];
  return [...list.slice(0, MEMBERS_MAX).map(show), ...more].join(", ");
}

function shownError(error) {
  const stack = typeof error.stack === "string" ? error.stack.trim() : "";
  const cause = error.cause === undefined ? "" : `, because of ${inspect(error.cause, [error])}`;
  return `${error.name}: ${error.message}${stack === "" ? "" : ` ${stack.replace(/\s+/g, " ")}`}${cause}`;
}
