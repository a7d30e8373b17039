// `OutgoingMessage`: a response that the class controls completely.
import { host } from "callgate/host";
import { bytesOf, number, base64, refuse, text } from "callgate/check";
import { encode } from "callgate/json";

/** Whether a value is an `OutgoingMessage`. */
export let isMessage;
/** `[status, headers, text, bytes]` of a message, with the headers as a flat list. */
export let toParts;

/** A picture from a request; `setBody` knows its type. */
export class Picture {
  #type;
  #bytes;

  constructor(type, bytes) {
    this.#type = type;
    this.#bytes = bytes;
    Object.freeze(this);
  }

  get type() {
    return this.#type;
  }

  get bytes() {
    return this.#bytes;
  }
}

export class OutgoingMessage {
  #status = 200;
  #body;
  /** The content to send: text or bytes. An object is serialized when it is set. */
  #content;
  /** The name as given and its values, by lower-case name. Only cookies have several values. */
  #headers = new Map();

  constructor() {
    // A misspelt property, such as `statusCode`, throws instead of being ignored.
    if (new.target === OutgoingMessage) Object.preventExtensions(this);
  }

  /** An HTML page. */
  static html(page) {
    text(page, "OutgoingMessage.html");
    return new this().setBody(page).setHeader("Content-Type", "text/html; charset=utf-8");
  }

  /** A redirect with status 303: the browser follows with a GET. */
  static redirect(location) {
    text(location, "OutgoingMessage.redirect");
    return new this().setStatus(303).setHeader("Location", location);
  }

  get body() {
    return this.#body;
  }

  /** Sets the body without changing the content type (4D `OutgoingMessage.body`). */
  set body(body) {
    this.#take(body, "OutgoingMessage.body");
  }

  get status() {
    return this.#status;
  }

  set status(status) {
    this.setStatus(status);
  }

  get headers() {
    const all = Object.create(null);
    for (const { name, values } of this.#headers.values()) all[name] = values.join(", ");
    return Object.freeze(all);
  }

  setBody(body) {
    this.#setHeader("Content-Type", this.#take(body, "OutgoingMessage.setBody"));
    return this;
  }

  setHeader(key, value) {
    text(key, "OutgoingMessage.setHeader", "a text for the name");
    text(value, "OutgoingMessage.setHeader", `a text for the value of ${JSON.stringify(key)}`);
    this.#setHeader(key, value);
    return this;
  }

  setStatus(status) {
    host.checkStatus(number(status, "OutgoingMessage.setStatus", "a whole number"));
    this.#status = status;
    return this;
  }

  /** Sets the body and returns the content type that goes with it. */
  #take(body, member) {
    const [type, content] = written(body, member);
    this.#body = body;
    this.#content = content;
    return type;
  }

  #setHeader(name, value) {
    const key = host.checkHeader(name, value, this.#count(name));
    const values = key === "set-cookie" ? (this.#headers.get(key)?.values ?? []) : [];
    this.#headers.set(key, { name, values: [...values, value] });
  }

  /** The number of fields that remain if a field of this name is set. */
  #count(name) {
    const key = name.toLowerCase();
    let count = 0;
    for (const [held, { values }] of this.#headers) {
      if (held !== key || key === "set-cookie") count += values.length;
    }
    return count;
  }

  static {
    isMessage = (value) => typeof value === "object" && value !== null && #status in value;
    toParts = (message) => {
      const headers = [];
      for (const { name, values } of message.#headers.values()) {
        for (const value of values) headers.push(name, value);
      }
      const content = message.#content;
      const isText = typeof content === "string";
      const bytes = isText || content === undefined ? undefined : base64(content);
      return [message.#status, headers, isText ? content : undefined, bytes];
    };
  }
}

/** The content type of a body, and the content to send. */
function written(body, member) {
  if (typeof body === "string") return ["text/plain; charset=utf-8", body.toWellFormed()];
  if (body instanceof Picture) return [body.type, body.bytes];
  const bytes = bytesOf(body);
  if (bytes !== undefined) return ["application/octet-stream", bytes];
  const json = typeof body === "object" && body !== null ? encode(body, member) : undefined;
  if (json === undefined) refuse(member, "a text, bytes, a picture or an object", body);
  return ["application/json", json];
}
