// `URL` and `URLSearchParams` as in browsers. The host does the parsing.
import { host } from "callgate/host";
import { inspect } from "callgate/inspect";

/** Parse a query into parameters, and subscribe to their changes; only for `URL`. */
let readInto;
let follow;

/** Characters of a query that are parsed per host call. */
const CHUNK_CHARS = 16384;

export class URLSearchParams {
  #pairs = [];
  /** Notifies the URL that these parameters belong to. */
  #changed = () => {};

  constructor(init = "") {
    if (typeof init !== "object" || init === null) this.#read(String(init));
    else if (typeof init[Symbol.iterator] !== "function") this.#take(Object.entries(init));
    else this.#take(init);
  }

  static {
    readInto = (params, query) => params.#read(query);
    follow = (params, changed) => void (params.#changed = changed);
  }

  get size() {
    return this.#pairs.length;
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
    this.#changed();
  }

  delete(name, value) {
    const goes = (pair) => pair[0] === String(name) && (value === undefined || pair[1] === String(value));
    this.#pairs = this.#pairs.filter((pair) => !goes(pair));
    this.#changed();
  }

  get(name) {
    return this.#pairs.find(([key]) => key === String(name))?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value);
  }

  has(name, value) {
    return value === undefined ? this.get(name) !== null : this.getAll(name).includes(String(value));
  }

  /** Sets the first value of a name and removes the others. */
  set(name, value) {
    const first = this.#pairs.find(([key]) => key === String(name));
    if (first === undefined) return this.append(name, value);
    first[1] = String(value);
    this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== String(name));
    this.#changed();
  }

  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
    this.#changed();
  }

  forEach(action, self) {
    for (const [name, value] of this.#pairs) action.call(self, value, name, this);
  }

  *keys() {
    for (const [name] of this.#pairs) yield name;
  }

  *values() {
    for (const [, value] of this.#pairs) yield value;
  }

  *entries() {
    for (const [name, value] of this.#pairs) yield [name, value];
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return host.formText(this.#pairs.flat());
  }

  #read(query) {
    this.#pairs = [];
    // Parsed in chunks, because memory of the host does not count towards the heap of the class.
    for (let at = query.startsWith("?") ? 1 : 0, end; at < query.length; at = end + 1) {
      const found = query.indexOf("&", at + CHUNK_CHARS);
      end = found < 0 ? query.length : found;
      const flat = host.formPairs(query.slice(at, end));
      for (let pair = 0; pair < flat.length; pair += 2) this.#pairs.push([flat[pair], flat[pair + 1]]);
    }
  }

  #take(pairs) {
    for (const pair of pairs) {
      const [name, value, ...more] = pair;
      if (value === undefined || more.length > 0) {
        throw new TypeError(`URLSearchParams wants pairs of a name and a value, not ${inspect(pair)}`);
      }
      this.#pairs.push([String(name), String(value)]);
    }
  }
}

/** The parts of a URL that can be set, by their names in the host. */
const PARTS = ["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

export class URL {
  #href;
  /** The text of each part. */
  #parts;
  #searchParams;

  constructor(url, base) {
    this.#adopt(host.urlParse(String(url), base === undefined ? undefined : String(base)));
  }

  static canParse(url, base) {
    return URL.parse(url, base) !== null;
  }

  static parse(url, base) {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }

  static {
    for (const part of PARTS) {
      Object.defineProperty(this.prototype, part, {
        get() {
          return this.#parts[part];
        },
        set(text) {
          this.#change(part, String(text));
        },
        enumerable: true,
        configurable: true,
      });
    }
  }

  get href() {
    return this.#href;
  }

  set href(url) {
    this.#adopt(host.urlParse(String(url), undefined));
    this.#readParams();
  }

  get origin() {
    return this.#parts.origin;
  }

  get searchParams() {
    if (this.#searchParams === undefined) {
      this.#searchParams = new URLSearchParams();
      this.#readParams();
      follow(this.#searchParams, () => {
        this.#adopt(host.urlChange(this.#href, "search", this.#searchParams.toString()));
      });
    }
    return this.#searchParams;
  }

  toString() {
    return this.#href;
  }

  toJSON() {
    return this.#href;
  }

  #adopt(parts) {
    this.#href = parts.href;
    this.#parts = parts;
  }

  #change(part, text) {
    this.#adopt(host.urlChange(this.#href, part, text));
    if (part === "search") this.#readParams();
  }

  #readParams() {
    if (this.#searchParams !== undefined) readInto(this.#searchParams, this.#parts.search);
  }
}
