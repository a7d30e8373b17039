// `structuredClone`: a deep copy that supports dates, maps, sets, bytes and cycles.

export function structuredClone(value) {
  return copied(value, new Map());
}

/** `done` maps objects to their copies, so that cycles end and shared values stay shared. */
function copied(value, done) {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new DOMException(`a ${typeof value} cannot be cloned`, "DataCloneError");
  }
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  const keep = (copy) => (done.set(value, copy), copy);
  if (value instanceof Date) return keep(new Date(value));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (ArrayBuffer.isView(value)) return keep(copiedView(value, done));
  if (value instanceof Map) return copiedMap(value, keep(new Map()), done);
  if (value instanceof Set) return copiedSet(value, keep(new Set()), done);
  if (value instanceof Error) return keep(copiedError(value));
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) {
    throw new DOMException(`a ${value.constructor.name} cannot be cloned`, "DataCloneError");
  }
  const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) {
    const item = copied(value[key], done);
    Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

function copiedView(view, done) {
  const buffer = copied(view.buffer, done);
  return new view.constructor(buffer, view.byteOffset, view.length ?? view.byteLength);
}

function copiedMap(map, copy, done) {
  for (const [key, item] of map) copy.set(copied(key, done), copied(item, done));
  return copy;
}

function copiedSet(set, copy, done) {
  for (const item of set) copy.add(copied(item, done));
  return copy;
}

function copiedError(error) {
  const copy = new Error(error.message);
  copy.name = error.name;
  copy.stack = error.stack;
  return copy;
}
