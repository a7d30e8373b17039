// Values as JSON. Values that JSON would silently change are refused.

// Saved before a class is loaded, because a class may replace these built-ins.
const { stringify, parse } = JSON;
const { getPrototypeOf, keys, prototype: plain } = Object;
const { isArray } = Array;
const { isView } = ArrayBuffer;
const { isFinite } = Number;

/** Wrapper objects that JSON unwraps (ECMA-262 §25.5.2.1). */
const UNPACKED = [String, Number, Boolean];
/** Types that do not survive JSON, and what to use instead. */
const LOST = [
  [Promise, "a promise", "await it first"],
  [Map, "a Map", "Object.fromEntries(map) can"],
  [Set, "a Set", "[...set] can"],
  [ArrayBuffer, "bytes", "bytes.toBase64() can"],
  [Error, "an Error", "error.message can"],
  [RegExp, "a RegExp", "regExp.source can"],
  [WeakMap, "a WeakMap", "nothing can be listed of it"],
  [WeakSet, "a WeakSet", "nothing can be listed of it"],
  [WeakRef, "a WeakRef", "ref.deref() may"],
];

export { parse };

/** The JSON text of `value`. A value that would not survive raises a `TypeError` with its path. */
export function encode(value, place) {
  if (typeof value === "string" || typeof value === "boolean") return stringify(value);
  let holder, name;
  try {
    return stringify(value, function (key, inner) {
      holder = this;
      name = key;
      const what = lost(inner, this, key);
      if (what === undefined) return inner;
      throw new TypeError(`${place}${path(value, this, key)}: ${what}`);
    });
  } catch (error) {
    if (error instanceof TypeError && /circular/.test(error.message)) {
      const inside = path(value, holder, name);
      throw new TypeError(`${place}${inside}: a value that contains itself cannot be kept as JSON`);
    }
    throw error;
  }
}

/** Why a value would not survive; `undefined` if it would. */
function lost(value, holder, key) {
  switch (typeof value) {
    case "function":
      return "a function cannot be kept as JSON";
    case "symbol":
      return "a symbol cannot be kept as JSON";
    case "bigint":
      return "a BigInt cannot be kept as JSON; String(value) can";
    case "number":
      return isFinite(value) ? undefined : `${value} cannot be kept as JSON; null can`;
    case "undefined":
      return isArray(holder) ? "a list with undefined in it cannot be kept as JSON; null can" : undefined;
    case "object":
      return value === null ? lostBefore(holder[key]) : lostObject(value);
    default:
      return undefined;
  }
}

/** Why a value that `toJSON` turned into `null` would not survive. */
function lostBefore(value) {
  return value instanceof Date ? "a Date that is no time cannot be kept as JSON; null can" : undefined;
}

function lostObject(value) {
  const prototype = getPrototypeOf(value);
  if (prototype === plain || prototype === null || isArray(value)) return undefined;
  for (const [kind, name, way] of LOST) {
    if (value instanceof kind) return `${name} cannot be kept as JSON; ${way}`;
  }
  if (isView(value)) return "bytes cannot be kept as JSON; bytes.toBase64() can";
  if (UNPACKED.some((kind) => value instanceof kind) || keys(value).length > 0) return undefined;
  // The object has no enumerable members, so JSON would write none of its content.
  const name = prototype.constructor?.name;
  return `${name ? `an object of ${name}` : "an object"} would be kept as {}; give it a toJSON()`;
}

/**
 * The path from `root` to the member `key` of `holder`, such as `.cart.items[2]`. Computed only for
 * an error.
 */
function path(root, holder, key) {
  if (key === "") return "";
  const step = isArray(holder) ? `[${key}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${stringify(key)}]`;
  const seen = new Set();
  const way = (value) => {
    if (value === holder) return "";
    if (typeof value !== "object" || value === null || seen.has(value)) return undefined;
    seen.add(value);
    for (const name of keys(value)) {
      const rest = way(value[name]);
      if (rest !== undefined) return `${isArray(value) ? `[${name}]` : `.${name}`}${rest}`;
    }
    return undefined;
  };
  return `${way(root) ?? ""}${step}`;
}
