// `crypto`: random values, digests, and the signatures of webhooks (HMAC).
import { host } from "callgate/host";
import { bytesOf, base64, refuse, text } from "callgate/check";

/** Most random bytes per call, as in browsers (Web Cryptography, §10.1.1). */
const RANDOM_BYTES_MAX = 65536;

/** The hash and secret of a key; `undefined` for any other value. */
let partsOf;

class CryptoKey {
  #bytes;
  #hash;

  constructor(bytes, hash) {
    this.#bytes = bytes;
    this.#hash = hash;
    Object.freeze(this);
  }

  static {
    partsOf = (key) => (#bytes in Object(key) ? [key.#hash, key.#bytes] : undefined);
  }

  get type() {
    return "secret";
  }

  get extractable() {
    return false;
  }

  get algorithm() {
    return { name: "HMAC", hash: { name: this.#hash } };
  }
}

const subtle = Object.freeze({
  async digest(algorithm, content) {
    const hash = algorithmName(algorithm, "crypto.subtle.digest");
    return host.digest(hash, bytes(content, "crypto.subtle.digest")).buffer;
  },

  async importKey(format, key, algorithm, extractable, usages) {
    const member = "crypto.subtle.importKey";
    const isHmac = format === "raw" && /^hmac$/i.test(algorithm?.name ?? algorithm);
    if (!isHmac) throw new TypeError(`${member} takes "raw" keys for { name: "HMAC", hash }`);
    if (extractable) throw new TypeError(`${member}: a key does not come out again; say false`);
    if (!Array.isArray(usages)) refuse(member, "a list of usages", usages);
    const hash = host.hashName(algorithmName(algorithm.hash, member));
    return new CryptoKey(bytes(key, member), hash);
  },

  async sign(algorithm, key, content) {
    const [hash, secret] = keyParts(algorithm, key, "crypto.subtle.sign");
    return host.hmac(hash, secret, bytes(content, "crypto.subtle.sign")).buffer;
  },

  /** Whether a signature is valid, compared in constant time. */
  async verify(algorithm, key, signature, content) {
    const member = "crypto.subtle.verify";
    const [hash, secret] = keyParts(algorithm, key, member);
    return host.hmacFits(hash, secret, [bytes(content, member), bytes(signature, member)]);
  },
});

export const crypto = Object.freeze({
  subtle,

  getRandomValues(array) {
    const isOfIntegers = ArrayBuffer.isView(array) && !/^(Float|DataView)/.test(array.constructor.name);
    if (!isOfIntegers) refuse("crypto.getRandomValues", "an array of integers, such as Uint8Array", array);
    if (array.byteLength > RANDOM_BYTES_MAX) {
      throw new RangeError(`crypto.getRandomValues gives ${RANDOM_BYTES_MAX} bytes at once at most`);
    }
    bytesOf(array).set(host.randomBytes(array.byteLength));
    return array;
  },

  randomUUID() {
    const bytes = host.randomBytes(16);
    // Version 4, with the variant of RFC 9562 §4.1.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
});

function algorithmName(algorithm, member) {
  return text(algorithm?.name ?? algorithm, member, "the name of a hash, such as \"SHA-256\"");
}

function keyParts(algorithm, key, member) {
  if (!/^hmac$/i.test(algorithm?.name ?? algorithm)) throw new TypeError(`${member} knows "HMAC" only`);
  return partsOf(key) ?? refuse(member, "a key of crypto.subtle.importKey", key);
}

function bytes(value, member) {
  return base64(bytesOf(value) ?? refuse(member, "bytes", value));
}
