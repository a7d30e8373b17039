// OutgoingMessage: an answer under the handler's full control.

// A class may change what these names mean; callgate keeps what they meant before.
const { apply } = Reflect;
const { stringify } = JSON;
const { toBase64 } = Uint8Array.prototype;

export class OutgoingMessage {
  #status = 200;
  #headers = [];
  #body;

  setStatus(status) {
    this.#status = status;
    return this;
  }

  setHeader(name, value) {
    this.#headers.push([name, value]);
    return this;
  }

  setBody(body) {
    this.#body = body;
    return this;
  }

  static unpack(value) {
    if (!(#status in value)) return undefined;
    return [value.#status, value.#headers, ...packed(value.#body)];
  }
}

/**
 * `[status, [[name, value]…], kind, text]` of a message, where the text is the body as it is, as
 * JSON or, for bytes, in base64; `undefined` of any other value.
 */
export const { unpack } = OutgoingMessage;
delete OutgoingMessage.unpack;

function packed(body) {
  if (body === undefined) return ["none", ""];
  if (typeof body === "string") return ["text", body];
  if (body instanceof Uint8Array) return ["base64", apply(toBase64, body, [])];
  return ["json", stringify(body)];
}
