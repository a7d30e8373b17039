// Sets up the globals of a class before the class is loaded.
import { AbortController, AbortSignal } from "callgate/abort";
import { structuredClone } from "callgate/clone";
import { console } from "callgate/console";
import { crypto } from "callgate/crypto";
import { fetch, Response } from "callgate/fetch";
import { Headers } from "callgate/headers";
import { connect } from "callgate/host";
import { encode, parse } from "callgate/json";
import { isMessage, toParts } from "callgate/message";
import { IncomingMessage } from "callgate/request";
import { flush, Session } from "callgate/session";
import { TextDecoder, TextEncoder } from "callgate/text";
import { clearTimeout, setInterval, setTimeout } from "callgate/timers";
import { URL, URLSearchParams } from "callgate/url";

// Saved before a class is loaded, because a class may replace these built-ins.
const { getOwnPropertyDescriptor, getPrototypeOf, prototype: everything } = Object;
const { ownKeys } = Reflect;
const { isArray } = Array;
const { toString } = Function.prototype;
const apply = Reflect.apply;

/** The globals that every class has. */
const GLOBALS = {
  AbortController,
  AbortSignal,
  Headers,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  clearInterval: clearTimeout,
  clearTimeout,
  console,
  crypto,
  fetch,
  setInterval,
  setTimeout,
  structuredClone,
};

/** @param host the host functions, which no class can reach */
export function setUp(host) {
  connect(host);
  for (const [name, value] of Object.entries(GLOBALS)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
  return {
    /** The arguments of a handler for the call with this id. */
    begin: (call, given) => [
      new IncomingMessage(call),
      host.keepsSessions ? new Session(call) : null,
      ...(given === undefined ? [] : parse(given)),
    ],
    finish,
    isClass: (value) => typeof value === "function" && /^class\b/.test(apply(toString, value, [])),
    functions,
    exposures,
  };
}

/**
 * Saves what a handler has written and converts its result: nothing, the JSON text of a result, or
 * `[status, headers, text, bytes]` of a message.
 */
function finish(session, value) {
  if (session !== null) flush(session);
  if (value === undefined) return undefined;
  if (isMessage(value)) return toParts(value);
  return `{"result":${encode(value, "the returned value")}}`;
}

/**
 * What a class itself lists in `static exposed`, `static onHTTPGet` and `static actions`:
 * `[list, name…]` of each, or `[list]` and `null` for one that is no list of texts. What a class
 * inherits exposes nothing.
 */
function exposures(constructor) {
  return ["exposed", "onHTTPGet", "actions"].flatMap((list) => {
    const given = getOwnPropertyDescriptor(constructor, list);
    if (given === undefined) return [];
    const names = given.value;
    if (!isArray(names)) return [[list, null]];
    const all = [list];
    for (let at = 0; at < names.length && at < 1_000; at += 1) {
      all.push(typeof names[at] === "string" ? names[at] : null);
    }
    return [all];
  });
}

/**
 * The functions that rows can name, own and inherited: `[name, file, line, column, files]`. The
 * files are those of the classes that are extended and have the function, too, nearest first.
 */
function functions(instance) {
  const found = { __proto__: null };
  for (let from = instance; from && from !== everything; from = getPrototypeOf(from)) {
    for (const name of ownKeys(from)) {
      if (typeof name !== "string" || name === "constructor" || name in found) continue;
      const value = getOwnPropertyDescriptor(from, name)?.value;
      if (typeof value !== "function") continue;
      found[name] = [name, value.fileName, value.lineNumber, value.columnNumber, []];
    }
  }
  for (let from = instance; from && from !== everything; from = getPrototypeOf(from)) {
    const file = getOwnPropertyDescriptor(from, "constructor")?.value?.fileName;
    if (typeof file !== "string") continue;
    for (const name in found) {
      if (name in from) found[name][4].push(file);
    }
  }
  return Object.values(found);
}
