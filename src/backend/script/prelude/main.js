// Puts the world of a class together before the class is loaded.

import { unpack } from "callgate/message";
import { requests } from "callgate/request";
import { sessions } from "callgate/session";
import { timers } from "callgate/timers";

// A class may change what these names mean; callgate keeps what they meant before.
const { getOwnPropertyDescriptor, getPrototypeOf, prototype: everything } = Object;
const { ownKeys } = Reflect;
const { toString } = Function.prototype;
const apply = Reflect.apply;

/** @param host the functions of callgate itself, which no class ever sees */
export function open(host) {
  timers(host, globalThis);
  const Request = requests(host);
  const Session = sessions(host);
  return {
    /** What a handler is given for the call of that number. */
    begin: (call) => [new Request(call), new Session(call)],
    unpack,
    isClass: (value) => typeof value === "function" && /^class\b/.test(apply(toString, value, [])),
    functions,
  };
}

/** The functions that rows can name: `[name, file, line, column]`, own and inherited. */
function functions(instance) {
  const found = { __proto__: null };
  for (let from = instance; from && from !== everything; from = getPrototypeOf(from)) {
    for (const name of ownKeys(from)) {
      if (typeof name !== "string" || name === "constructor" || name in found) continue;
      const value = getOwnPropertyDescriptor(from, name)?.value;
      if (typeof value !== "function") continue;
      found[name] = [name, value.fileName, value.lineNumber, value.columnNumber];
    }
  }
  return Object.values(found);
}
