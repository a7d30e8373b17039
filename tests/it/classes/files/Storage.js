// What `session.storage` promises. Each function is a request of its own.
import { equal, raises, rejects } from "./check.js";

export default class Storage {
  isAnObjectLikeAnyOther(_, { storage }) {
    equal(storage.absent, undefined);
    storage.a = 1;
    storage["b c"] = { d: [true, null, "é😀"] };
    equal([storage.a, storage["b c"].d[2]], [1, "é😀"]);
    equal(["a" in storage, "x" in storage], [true, false]);
    equal(Object.keys(storage), ["a", "b c"]);
    equal({ ...storage }, { a: 1, "b c": { d: [true, null, "é😀"] } });
    equal(Object.entries(storage).length, 2);
    equal(JSON.stringify(storage), '{"a":1,"b c":{"d":[true,null,"é😀"]}}');
    equal(Object.hasOwn(storage, "a"), true);
    delete storage.a;
    equal(["a" in storage, Object.keys(storage)], [false, ["b c"]]);
    equal(storage.status?.step, undefined);
    const { "b c": taken, ...rest } = storage;
    equal([taken.d.length, rest], [3, {}]);
    Object.assign(storage, { x: 1, y: 2 });
    const names = [];
    for (const name in storage) names.push(name);
    equal(names, ["b c", "x", "y"]);
  }

  hasNoKeysOfItsOwn(_, { storage }) {
    equal([storage.constructor, storage.toString, storage.hasOwnProperty], [undefined, undefined, undefined]);
    equal("__proto__" in storage, false);
    storage.__proto__ = { polluted: true };
    equal([storage.polluted, {}.polluted], [undefined, undefined]);
    equal(Object.keys(storage), ["__proto__"]);
    equal(storage.__proto__, { polluted: true });
    equal(Object.getPrototypeOf(storage), null);
  }

  staysWhatItIs(_, session) {
    raises("TypeError", "", () => Object.freeze(session.storage));
    raises("TypeError", "", () => Object.setPrototypeOf(session.storage, {}));
    raises("TypeError", "can be a value only", () =>
      Object.defineProperty(session.storage, "a", { get: () => 1 }));
    raises("TypeError", "texts", () => (session.storage[Symbol("s")] = 1));
    raises("TypeError", "", () => (session.storage = {}));
    raises("TypeError", "", () => (session.mine = 1));
  }

  losesNothingInSilence(_, { storage }) {
    raises("TypeError", "session.storage.a: a function", () => (storage.a = () => 1));
    raises("TypeError", "session.storage.a.b.f: a function", () => (storage.a = { b: { f() {} } }));
    raises("TypeError", 'session.storage.a.b[1]["not so"]: a function', () =>
      (storage.a = { b: [0, { "not so": () => 1 }] }));
    raises("TypeError", "a symbol", () => (storage.a = Symbol("s")));
    raises("TypeError", "String(value)", () => (storage.a = 1n));
    raises("TypeError", "NaN", () => (storage.a = { average: 0 / 0 }));
    raises("TypeError", "Infinity", () => (storage.a = [Infinity]));
    raises("TypeError", "a Map", () => (storage.a = new Map()));
    raises("TypeError", "a Set", () => (storage.a = [new Set()]));
    raises("TypeError", "toBase64", () => (storage.a = new Uint8Array(1)));
    raises("TypeError", "await", () => (storage.a = Promise.resolve(1)));
    raises("TypeError", "a list with undefined", () => (storage.a = [1, , 2]));
    raises("TypeError", "an Error", () => (storage.a = new RangeError("x")));
    raises("TypeError", "an Error", () => (storage.a = Object.assign(new Error("x"), { code: 1 })));
    raises("TypeError", "a RegExp", () => (storage.a = [/x/]));
    raises("TypeError", "a WeakMap", () => (storage.a = { b: new WeakMap() }));
    raises("TypeError", "a WeakSet", () => (storage.a = new WeakSet()));
    raises("TypeError", "a WeakRef", () => (storage.a = new WeakRef({})));
    raises("TypeError", "a Date that is no time", () => (storage.a = { when: new Date(NaN) }));
    raises("TypeError", "an object of Headers would be kept as {}", () => (storage.a = new Headers()));
    raises("TypeError", "an object of Hidden", () => (storage.a = new (class Hidden { #x = 1; })()));
    raises("TypeError", "an object would be kept as {}", () => (storage.a = (function* () {})()));
    raises("TypeError", "undefined", () => (storage.a = [undefined]));
    const circle = {};
    circle.self = circle;
    raises("TypeError", "contains itself", () => (storage.a = circle));
    equal(Object.keys(storage), []);
    storage.a = { kept: 1, left: undefined };
    equal(JSON.stringify(storage.a), '{"kept":1}');
    class Item {
      price = 3;
      total() {
        return this.price;
      }
    }
    storage.a = [new Item(), new Date(0), new URL("https://a.example/"), new String("s"), Object.create(null), -1.5];
    equal(JSON.stringify(storage.a), '[{"price":3},"1970-01-01T00:00:00.000Z","https://a.example/","s",{},-1.5]');
    storage.a = undefined;
    equal("a" in storage, false);
  }

  refusesWhatDoesNotFit(_, { storage }) {
    equal(raises("SessionError", "limited", () => (storage.a = "x".repeat(300_000))).code, "tooLarge");
    raises("SessionError", "limited", () => (storage["k".repeat(300)] = 1));
    let deep = 1;
    for (let n = 0; n < 70; n += 1) deep = [deep];
    equal(raises("SessionError", "64 deep", () => (storage.a = deep)).code, "notJson");
    raises("SessionError", "JSON", () => (storage.a = "\ud800"));
    equal(Object.keys(storage), []);
  }

  async showsWhatUpdateWrote(_, session) {
    const count = (n = 0) => n + 1;
    equal([await session.update("n", count), await session.update("n", count)], [1, 2]);
    equal(session.storage.n, 2);
    session.storage.n = 10;
    equal(await session.update("n", async (n) => n + 1), 11);
    equal(await session.update("n", () => undefined), undefined);
    equal("n" in session.storage, false);
    equal(await session.update("never", () => undefined), undefined);
    await rejects("TypeError", "session.update wants a function, not a number", session.update("n", 1));
    await rejects("TypeError", "a text for the key, not a number", session.update(1, count));
    await rejects("TypeError", "a function cannot be kept", session.update("n", () => count));
    await rejects("RangeError", "mine", session.update("n", () => { throw new RangeError("mine"); }));
  }

  assign({ urlQuery }, { storage }) {
    storage.cart = { items: ["a"] };
    storage.when = new Date(0);
    storage.plain = urlQuery.plain;
  }

  reach(_, { storage }) {
    storage.cart.items.push("b");
    storage.cart.items[0] = "A";
  }

  async reachAroundAMint(_, session) {
    const { cart } = session.storage;
    cart.items.push("before");
    await session.createOTP();
    cart.items.push("after");
  }

  reachAndThrow(_, { storage }) {
    storage.cart.items.push("lost");
    storage.lost = 1;
    throw new Error("no");
  }

  spoil(_, { storage }) {
    storage.cart.items.push(() => 1);
  }

  read(_, { storage }) {
    return { ...storage };
  }
}
