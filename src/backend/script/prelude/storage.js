// `session.storage`: an object whose keys are read on first access and written when they have
// changed.
import { host } from "callgate/host";
import { encode, parse } from "callgate/json";
import { text } from "callgate/check";

/** The storage of the session of one request. */
export class Storage {
  /** The proxy that the class uses. */
  view;
  #call;
  /**
   * Values that were read or assigned, by key. Without a prototype, so that any string is a key.
   */
  #values = Object.create(null);
  /** The JSON text that the host has, by key; `undefined` where it has none. */
  #texts = new Map();

  constructor(call) {
    this.#call = call;
    this.view = new Proxy(this.#values, this.#traps());
  }

  /**
   * Writes changes inside values that were read or assigned, such as
   * `storage.cart.items.push(item)`. Only changed keys are written: writing an unchanged key would
   * undo what another request has written to it in the meantime.
   */
  flush() {
    for (const [key, text] of this.#texts) {
      const value = this.#values[key];
      if (value === null || typeof value !== "object") continue;
      const now = encode(value, place(key));
      if (now === text) continue;
      // The host may format the same value differently, such as 1.0 for 1.
      if (!isSame(text, now)) host.storageWrite(this.#call, { key, text: now });
      this.#texts.set(key, now);
    }
  }

  /**
   * Shows what other requests have written, after the host has read the store. Keys that were
   * changed here stay as they are, and unchanged values keep their object identity.
   */
  refresh() {
    for (const [key, text] of this.#texts) {
      const stored = host.storageRead(this.#call, key);
      if (stored === text || this.#isChanged(key, text)) continue;
      if (stored !== undefined && text !== undefined && isSame(stored, text)) continue;
      this.#texts.delete(key);
      delete this.#values[key];
    }
  }

  /** Whether a value differs from what the host has. */
  #isChanged(key, text) {
    const value = this.#values[key];
    if (value === null || typeof value !== "object") return false;
    return !isSame(text, encode(value, place(key)));
  }

  /** Drops all values, so that they are read again. */
  forget() {
    for (const key of this.#texts.keys()) delete this.#values[key];
    this.#texts.clear();
  }

  /** Sets a key that was written to the host directly. */
  replace(key, value, text) {
    this.#hold(key, value, text);
  }

  #hold(key, value, text) {
    if (text === undefined) delete this.#values[key];
    else this.#values[key] = value;
    this.#texts.set(key, text);
  }

  #load(key) {
    if (this.#texts.has(key)) return;
    const text = host.storageRead(this.#call, key);
    this.#hold(key, text === undefined ? undefined : parse(text), text);
  }

  #write(key, value) {
    const text = value === undefined ? undefined : encode(value, place(key));
    host.storageWrite(this.#call, { key, text });
    this.#hold(key, value, text);
    return true;
  }

  #remove(key) {
    this.#load(key);
    return this.#texts.get(key) === undefined || this.#write(key, undefined);
  }

  #traps() {
    const load = (key) => typeof key === "string" && this.#load(key);
    return {
      get: (values, key) => (load(key), values[key]),
      has: (values, key) => (load(key), key in values),
      set: (_, key, value) => this.#write(keyText(key), value),
      deleteProperty: (_, key) => typeof key !== "string" || this.#remove(key),
      ownKeys: () => host.storageKeys(this.#call),
      getOwnPropertyDescriptor: (values, key) => {
        load(key);
        return Reflect.getOwnPropertyDescriptor(values, key);
      },
      defineProperty: (_, key, property) => {
        if ("value" in property) return this.#write(keyText(key), property.value);
        throw new TypeError(`${place(key)} can be a value only`);
      },
      setPrototypeOf: () => false,
      preventExtensions: () => false,
    };
  }
}

/** Whether a JSON text of the host and one of ours are equal. The host may write 1.0 for 1. */
function isSame(text, ours) {
  return text === ours || (text !== undefined && JSON.stringify(parse(text)) === ours);
}

function place(key) {
  return `session.storage.${String(key)}`;
}

function keyText(key) {
  return text(key, "session.storage", "keys that are texts");
}
