// Every function that a script can reach, and what makes it work hard.

/** What no path from `globalThis` leads to, and `request` and `session` (the class sets them). */
const SEEDS = () => [
  globalThis,
  ...globalThis.given,
  [][Symbol.iterator](),
  new Map().entries(),
  new Set().values(),
  "a"[Symbol.iterator](),
  "a".matchAll(/a/g),
  [].values().map((one) => one),
  Iterator.from({ next() {} }),
  (function* () {})(),
  (async function* () {})(),
  async () => {},
  new URLSearchParams().entries(),
  new Headers().entries(),
];

/** `[holder, function, name]` of each, in an order that is always the same. */
function every() {
  const found = [];
  const seen = new Set();
  const queue = SEEDS().map((seed, at) => [seed, `seed ${at}`]);
  while (queue.length > 0) {
    const [holder, path] = queue.shift();
    if ((typeof holder !== "object" && typeof holder !== "function") || holder === null) continue;
    if (seen.has(holder)) continue;
    seen.add(holder);
    for (const key of Reflect.ownKeys(holder)) {
      const property = Reflect.getOwnPropertyDescriptor(holder, key);
      for (const kind of ["value", "get", "set"]) {
        const value = property?.[kind];
        if (typeof value === "function" && !seen.has(value) && !String(key).startsWith("given")) {
          found.push([holder, value, `${path}.${String(key)}`]);
        }
        queue.push([value, `${path}.${String(key)}`]);
      }
    }
    queue.push([Reflect.getPrototypeOf(holder), `${path}.__proto__`]);
  }
  return found;
}

/** On what a function is called, by number; the first is what it was found on. */
const RECEIVERS = [
  (holder) => holder,
  () => "a".repeat(1 << 20),
  () => "a" + "\u0301\u0316".repeat(1 << 17),
  () => Array.from({ length: 1 << 16 }, (_, at) => at * 7919 % 65521),
  () => Array.from({ length: 1 << 13 }, (_, at) => "x".repeat(40) + at * 7919 % 65521),
  () => new Array(2 ** 32 - 1),
  () => ({ length: 2 ** 53 - 1 }),
  () => new Uint8Array(1 << 21),
  () => new Float64Array(1 << 17),
  () => 3n ** 100000n,
  () => new Map(Array.from({ length: 1 << 13 }, (_, at) => [at, at])),
  () => new Set(Array.from({ length: 1 << 13 }, (_, at) => at)),
  () => /(a*)*b/g,
  () => Object.fromEntries(Array.from({ length: 1 << 13 }, (_, at) => [`k${at}`, at])),
  () => new Proxy(new Array(2 ** 32 - 1), {}),
  () => new ArrayBuffer(1 << 21),
  () => new DataView(new ArrayBuffer(1 << 21)),
  () => new Date(),
  () => Promise.resolve(1),
  () => Array.prototype.values.call({ length: 2 ** 53 - 1 }),
  () => new URLSearchParams("a=b&".repeat(1 << 12)),
];

/** What it is given. */
function* inputs(receiver) {
  const text = "a".repeat(1 << 20);
  const part = `${"a".repeat(1 << 19)}b`;
  const list = Array.from({ length: 1 << 14 }, (_, at) => at);
  const endless = { length: 2 ** 53 - 1, raw: { length: 2 ** 53 - 1 } };
  endless[Symbol.iterator] = Array.prototype[Symbol.iterator];
  yield [];
  yield [receiver];
  yield [text];
  yield [part];
  yield [text, part];
  yield [part, text];
  yield [endless];
  yield [receiver, endless];
  yield [new Array(2 ** 32 - 1)];
  yield [list, (one) => one];
  yield [(one) => one, list];
  yield [() => 0];
  yield [2 ** 32 - 1];
  yield [0, 2 ** 53 - 1];
  yield [1, 0, 2 ** 53 - 1];
  yield [Infinity];
  yield [receiver, receiver, receiver];
  yield [/(a*)*b/g, "a"];
  yield [9n ** 20000n, 7n ** 20000n];
  yield [1 << 20, text];
}

/** Calls the function of that number on the receiver of that number, for ever. */
function attack(number, on) {
  const [holder, called] = every()[number];
  const receiver = RECEIVERS[on](holder);
  for (;;) {
    for (const given of inputs(receiver)) {
      try {
        const made = Reflect.apply(called, receiver, given);
        if (typeof made?.next === "function") for (const _ of made);
      } catch {}
      try {
        Reflect.construct(called, given);
      } catch {}
    }
  }
}
