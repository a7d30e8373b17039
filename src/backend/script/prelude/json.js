// Values as JSON that is kept: what JSON would lose in silence is refused instead.

/** The JSON text of `value`; what cannot be kept raises a `TypeError` that names `place`. */
export function encode(value, place) {
  try {
    return JSON.stringify(value, function (key, inner) {
      const what = lost(inner, Array.isArray(this));
      if (what === undefined) return inner;
      const inside = key === "" ? "" : ` (in ${JSON.stringify(key)})`;
      throw new TypeError(`${place}${inside}: ${what}`);
    });
  } catch (error) {
    if (error instanceof TypeError && /circular/.test(error.message)) {
      throw new TypeError(`${place}: a value that contains itself cannot be kept as JSON`);
    }
    throw error;
  }
}

/** Why a value would not come back; `undefined` when it would. */
function lost(value, inList) {
  switch (typeof value) {
    case "function":
      return "a function cannot be kept as JSON";
    case "symbol":
      return "a symbol cannot be kept as JSON";
    case "bigint":
      return "a BigInt cannot be kept as JSON; String(value) can";
    case "number":
      return Number.isFinite(value) ? undefined : `${value} cannot be kept as JSON; null can`;
    case "undefined":
      return inList ? "a list with undefined in it cannot be kept as JSON; null can" : undefined;
    case "object":
      return lostObject(value);
    default:
      return undefined;
  }
}

function lostObject(value) {
  if (value instanceof Map) return "a Map cannot be kept as JSON; Object.fromEntries(map) can";
  if (value instanceof Set) return "a Set cannot be kept as JSON; [...set] can";
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    return "bytes cannot be kept as JSON; bytes.toBase64() can";
  }
  if (value instanceof Promise) return "a promise cannot be kept as JSON; await it first";
  return undefined;
}
