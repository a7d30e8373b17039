// `request`: one request, read-only. A member is copied into the isolate when it is first read.
import { host } from "callgate/host";
import { record, text } from "callgate/check";
import { described } from "callgate/inspect";
import { Picture } from "callgate/message";
import { URLSearchParams } from "callgate/url";

export class IncomingMessage {
  #call;
  /** Values that were already read, by member. */
  #known = new Map();

  constructor(call) {
    this.#call = call;
    Object.freeze(this);
  }

  get url() {
    return this.#once("url", host.requestUrl);
  }

  get urlPath() {
    return this.#once("urlPath", (call) => Object.freeze(host.requestPath(call)));
  }

  get urlQuery() {
    return this.#once("urlQuery", (call) => record(host.requestQuery(call)));
  }

  /** A new copy each time, so that changing it does not change the request. */
  get query() {
    const mark = this.url.indexOf("?");
    return new URLSearchParams(mark < 0 ? "" : this.url.slice(mark + 1));
  }

  get verb() {
    return this.#once("verb", host.requestVerb);
  }

  get headers() {
    return this.#once("headers", (call) => record(host.requestHeaders(call)));
  }

  get params() {
    return this.#once("params", (call) => record(host.requestParams(call)));
  }

  /** The address of the client; `null` if there is no socket. */
  get remoteAddress() {
    return this.#once("remoteAddress", (call) => host.requestAddress(call) ?? null);
  }

  get otp() {
    return this.#once("otp", (call) => outcome(host.requestOtp(call)));
  }

  getHeader(key) {
    return host.requestHeader(this.#call, text(key, "request.getHeader"));
  }

  getText() {
    return this.#once("text", host.requestText);
  }

  getJSON() {
    return JSON.parse(host.requestJson(this.#call));
  }

  getBlob() {
    return host.requestBlob(this.#call);
  }

  getPicture() {
    const type = host.requestPicture(this.#call);
    return type === undefined ? null : new Picture(type, this.getBlob());
  }

  async getForm() {
    const fields = await host.requestForm(this.#call);
    return new Form(this.#call, fields);
  }

  [described]() {
    return `IncomingMessage ${this.verb} ${this.url}`;
  }

  #once(member, read) {
    if (!this.#known.has(member)) this.#known.set(member, read(this.#call));
    return this.#known.get(member);
  }
}

/** The fields and files of a submitted form. */
class Form {
  fields;
  files;
  #texts = [];

  /** `parts` are objects of `name` and either `text` or `fileName` and `type`. */
  constructor(call, parts) {
    const fields = Object.create(null);
    const files = [];
    parts.forEach((part, at) => {
      if (part.text === undefined) files.push(new Upload(call, at, part));
      else this.#texts.push([part.name, (fields[part.name] = part.text)]);
    });
    this.fields = Object.freeze(fields);
    this.files = Object.freeze(files);
    Object.freeze(this);
  }

  /** Every text with this name, in order, such as the values of several checkboxes. */
  all(name) {
    text(name, "form.all");
    return this.#texts.filter(([field]) => field === name).map(([, value]) => value);
  }
}

/** A file that was sent with a form. */
class Upload {
  field;
  name;
  type;
  #call;
  #at;

  constructor(call, at, { name, fileName, type }) {
    this.field = name;
    this.name = fileName;
    this.type = type;
    this.#call = call;
    this.#at = at;
    Object.freeze(this);
  }

  get bytes() {
    return host.requestFile(this.#call, this.#at);
  }
}

/** The outcome of a token and, if it had been used before, the time. */
export function outcome([name, usedAt]) {
  return Object.freeze(usedAt === undefined ? { outcome: name } : { outcome: name, usedAt });
}
