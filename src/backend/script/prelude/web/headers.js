// `Headers`: the header fields of a `fetch` request or response.
import { refuse } from "callgate/check";

export class Headers {
  /** The values by lower-case name. */
  #fields = new Map();

  constructor(init = {}) {
    if (typeof init !== "object" || init === null) refuse("Headers", "an object or a list of pairs", init);
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name, value) {
    const key = String(name).toLowerCase();
    this.#fields.set(key, [...(this.#fields.get(key) ?? []), String(value)]);
  }

  set(name, value) {
    this.#fields.set(String(name).toLowerCase(), [String(value)]);
  }

  delete(name) {
    this.#fields.delete(String(name).toLowerCase());
  }

  get(name) {
    return this.#fields.get(String(name).toLowerCase())?.join(", ") ?? null;
  }

  getSetCookie() {
    return [...(this.#fields.get("set-cookie") ?? [])];
  }

  has(name) {
    return this.#fields.has(String(name).toLowerCase());
  }

  forEach(action, self) {
    for (const [name, value] of this) action.call(self, value, name, this);
  }

  *keys() {
    for (const [name] of this.entries()) yield name;
  }

  *values() {
    for (const [, value] of this.entries()) yield value;
  }

  *entries() {
    for (const name of [...this.#fields.keys()].sort()) yield [name, this.get(name)];
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}
