// `OutgoingMessage`: an answer under the full control of the class.
import { host } from "callgate/host";
import { bytesOf, number, packed, refuse, text } from "callgate/check";
import { encode } from "callgate/json";

/** Whether a value is an `OutgoingMessage`. */
export let isMessage;
/** `[status, headers, text, bytes]` of a message, the headers flat in one list. */
export let unpack;

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
  /** What is sent of the body: text or bytes. An object is written out when it is given. */
  #content;
  /** By lower-case name: the name as it was given, and the values. Only cookies have several. */
  #headers = new Map();

  constructor() {
    // A misspelt property, such as `statusCode`, shall raise and not be lost.
    if (new.target === OutgoingMessage) Object.preventExtensions(this);
  }

  /** An HTML page. */
  static html(page) {
    text(page, "OutgoingMessage.html");
    return new this().setBody(page).setHeader("Content-Type", "text/html; charset=utf-8");
  }

  /** A redirection with status 303: the browser goes there with a GET. */
  static redirect(location) {
    text(location, "OutgoingMessage.redirect");
    return new this().setStatus(303).setHeader("Location", location);
  }

  get body() {
    return this.#body;
  }

  /** Sets the body and leaves the content type alone (4D `OutgoingMessage.body`). */
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

  /** Keeps a body; the content type that goes with it. */
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

  /** How many fields there are beside those that one more of this name would replace. */
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
    unpack = (message) => {
      const headers = [];
      for (const { name, values } of message.#headers.values()) {
        for (const value of values) headers.push(name, value);
      }
      const content = message.#content;
      const isText = typeof content === "string";
      const bytes = isText || content === undefined ? undefined : packed(content);
      return [message.#status, headers, isText ? content : undefined, bytes];
    };
  }
}

/** The content type of a body, and what is sent of it. */
function written(body, member) {
  if (typeof body === "string") return ["text/plain; charset=utf-8", body.toWellFormed()];
  if (body instanceof Picture) return [body.type, body.bytes];
  const bytes = bytesOf(body);
  if (bytes !== undefined) return ["application/octet-stream", bytes];
  const json = typeof body === "object" && body !== null ? encode(body, member) : undefined;
  if (json === undefined) refuse(member, "a text, bytes, a picture or an object", body);
  return ["application/json", json];
}
