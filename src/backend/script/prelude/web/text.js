// `TextEncoder` and `TextDecoder` for UTF-8.
import { host } from "callgate/host";
import { bytesOf, base64, refuse } from "callgate/check";

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    return host.utf8Bytes(String(text).toWellFormed());
  }
}

export class TextDecoder {
  #fatal;
  #keepsMark;

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*(unicode-1-1-)?utf-?8\s*$/i.test(label)) {
      throw new RangeError(`TextDecoder knows utf-8 only, not ${JSON.stringify(String(label))}`);
    }
    this.#fatal = Boolean(fatal);
    this.#keepsMark = Boolean(ignoreBOM);
  }

  get encoding() {
    return "utf-8";
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#keepsMark;
  }

  decode(bytes = new Uint8Array(), { stream = false } = {}) {
    if (stream) throw new TypeError("TextDecoder reads whole texts, not streams");
    const all = bytesOf(bytes) ?? refuse("TextDecoder.decode", "bytes", bytes);
    const text = host.utf8Text(base64(all), this.#fatal);
    return text.startsWith("\ufeff") && !this.#keepsMark ? text.slice(1) : text;
  }
}
