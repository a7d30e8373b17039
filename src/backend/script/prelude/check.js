// Checks of argument types, with error messages for the author of a class.

const { toBase64 } = Uint8Array.prototype;
const { apply } = Reflect;

/** The type of a value, for an error message. */
export function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "undefined") return "nothing";
  return { string: "a text", boolean: "a boolean" }[typeof value] ?? `a ${typeof value}`;
}

/** Throws a `TypeError`: `member` wants something other than `value`. */
export function refuse(member, wanted, value) {
  throw new TypeError(`${member} wants ${wanted}, not ${kind(value)}`);
}

export function text(value, member, wanted = "a text") {
  return typeof value === "string" ? value : refuse(member, wanted, value);
}

export function number(value, member, wanted = "a number") {
  return typeof value === "number" && Number.isFinite(value) ? value : refuse(member, wanted, value);
}

export function callback(value, member) {
  return typeof value === "function" ? value : refuse(member, "a function", value);
}

/** A string, or a list of strings, as a list. */
export function texts(value, member) {
  if (typeof value === "string") return [value];
  const fits = Array.isArray(value) && value.every((item) => typeof item === "string");
  return fits ? value : refuse(member, "a text or a list of texts", value);
}

/**
 * Checks an options object. Unknown names are refused: a misspelt option that is silently ignored
 * might be the one that protects something.
 */
export function options(value, member, known) {
  if (value === undefined) return {};
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    refuse(member, `an object of ${known.join(", ")}`, value);
  }
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`${member} does not know ${JSON.stringify(unknown)}; it takes ${known.join(", ")}`);
  }
  return value;
}

/** Bytes as base64, which is what host functions take. */
export function base64(bytes) {
  return apply(toBase64, bytes, []);
}

/** The bytes of a buffer or of a view of one, without a copy; `undefined` for anything else. */
export function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  return undefined;
}

/**
 * Converts a flat list of names and values to a read-only object. The last of repeated names
 * counts.
 */
export function record(flat) {
  const all = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) all[flat[at]] = flat[at + 1];
  return Object.freeze(all);
}
