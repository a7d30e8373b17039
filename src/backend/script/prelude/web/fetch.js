// `fetch`: requests to the hosts that the setting `fetch_hosts` allows.
import { AbortSignal } from "callgate/abort";
import { bytesOf, kind, number, options, base64, refuse, text } from "callgate/check";
import { Headers } from "callgate/headers";
import { host } from "callgate/host";
import { URL, URLSearchParams } from "callgate/url";

const OPTIONS = ["method", "headers", "body", "redirect", "signal", "timeout"];

/** The number of the last fetch. */
let last = 0;

export async function fetch(target, init) {
  const given = options(init, "fetch", OPTIONS);
  const { method = "GET", redirect = "follow", timeout } = given;
  const headers = new Headers(given.headers);
  const body = written(given.body, headers);
  const signal = checkedSignal(given.signal);
  if (timeout !== undefined) number(timeout, "fetch timeout", "a number of milliseconds");
  const request = {
    url: target instanceof URL ? target.href : text(target, "fetch", "an address as a text or a URL"),
    method: text(method, "fetch method"),
    redirect: text(redirect, "fetch redirect"),
    headers: [...headers].flat(),
    timeout,
  };
  const id = (last += 1);
  const abort = () => host.abortFetch(id);
  const response = host.fetch(id, request, body && base64(body));
  signal?.addEventListener("abort", abort);
  try {
    return new Response(await response);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The response to a `fetch`. Its body has already been read, within the limit of the settings. */
export class Response {
  #head;
  #headers = new Headers();
  #body;

  /** `head` is an object of status, statusText, url, redirected and headers as a flat list. */
  constructor([head, body]) {
    this.#head = head;
    this.#body = body;
    for (let at = 0; at < head.headers.length; at += 2) {
      this.#headers.append(head.headers[at], head.headers[at + 1]);
    }
    Object.freeze(this);
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  get status() {
    return this.#head.status;
  }

  get statusText() {
    return this.#head.statusText;
  }

  get url() {
    return this.#head.url;
  }

  get redirected() {
    return this.#head.redirected;
  }

  get headers() {
    return this.#headers;
  }

  async text() {
    return host.utf8Text(base64(this.#body), false).replace(/^\ufeff/, "");
  }

  async json() {
    try {
      return JSON.parse(await this.text());
    } catch {
      // The engine's own message would quote the body.
      const type = this.#headers.get("content-type") ?? "without a content type";
      throw new SyntaxError(`the answer (status ${this.status}, ${type}) is not valid JSON`);
    }
  }

  async bytes() {
    return this.#body.slice();
  }

  async arrayBuffer() {
    return this.#body.slice().buffer;
  }
}

/** The bytes of a body. Sets the content type that goes with them unless there is one. */
function written(body, headers) {
  if (body === undefined || body === null) return undefined;
  const type = (text) => headers.has("content-type") || headers.set("content-type", text);
  if (body instanceof URLSearchParams) {
    type("application/x-www-form-urlencoded;charset=UTF-8");
    return host.utf8Bytes(body.toString());
  }
  if (typeof body === "string") {
    type("text/plain;charset=UTF-8");
    return host.utf8Bytes(body.toWellFormed());
  }
  const bytes = bytesOf(body);
  if (bytes !== undefined) return bytes;
  const way = typeof body === "object" ? `; JSON.stringify(${kind(body) === "a list" ? "list" : "object"}) makes one` : "";
  throw new TypeError(`fetch body wants a text, bytes or URLSearchParams, not ${kind(body)}${way}`);
}

function checkedSignal(signal) {
  if (signal === undefined || signal === null) return undefined;
  if (!(signal instanceof AbortSignal)) refuse("fetch signal", "an AbortSignal", signal);
  signal.throwIfAborted();
  return signal;
}
