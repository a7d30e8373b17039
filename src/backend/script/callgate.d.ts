// What a class file of callgate sees, for editors and type checkers. callgate never reads it.
//
// `callgate init` writes this file beside the table; `callgate check --types` prints the one of
// the program that you have, for after an upgrade.

/**
 * A function of a class, as rows name it. It may be `async`.
 *
 * Above a method, `@type {Handler}` tells the editor what `request` and `session` are.
 *
 * An `OutgoingMessage` is sent as it is; any other value as `{"result": value}`; nothing as status
 * 200 with an empty body. What it throws is logged, and the client learns 500 and no more.
 */
type Handler = (request: IncomingMessage, session: Session) => Answer | Promise<Answer>;

/** What a handler may answer. */
type Answer = import("callgate").OutgoingMessage | Json | void;

/** What can be written as JSON. */
type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** The request. Nothing of it can be changed. */
interface IncomingMessage {
  /** Path and query as they were received, still encoded. */
  readonly url: string;
  /** The decoded parts of the path between its slashes, without `base_path`; none is empty. */
  readonly urlPath: readonly string[];
  /**
   * The parameters of the query: the last of repeated keys, `+` left as it is, one pair of
   * enclosing `'…'` taken off, a key without `=` as empty text.
   */
  readonly urlQuery: Texts;
  /**
   * The parameters of the query as the URL Standard reads them: `+` is a blank, and
   * `query.getAll(name)` has every value of a repeated key. A copy each time it is read.
   */
  readonly query: URLSearchParams;
  /** The method in upper case, such as `"GET"`. */
  readonly verb: string;
  /** The header fields, by lower-case name; of several of one name, the first. */
  readonly headers: Texts;
  /** The named captures of the row's `regexPattern`. */
  readonly params: Texts;
  /**
   * The address of the client or, behind a proxy that the settings trust, of whom it stands for;
   * null where there is no socket.
   */
  readonly remoteAddress: string | null;
  /** What became of the token that this request brought. */
  readonly otp: Otp;
  /** The value of a header field, whatever the case of its name; empty when it is absent. */
  getHeader(name: string): string;
  /**
   * The body as text, in the charset that its content type names, or else UTF-8, and without a byte
   * order mark. What cannot be decoded is replaced.
   */
  getText(): string;
  /**
   * The body as JSON, whatever its type says; a byte order mark is skipped. Throws a `SyntaxError`
   * if it is none; where nobody catches that, the client is answered 400 `bad_body`.
   */
  getJSON(): any;
  /** The body as it was sent, compressed if it was: what signatures are made of. */
  getBlob(): Uint8Array;
  /** The body as a picture; null unless its type says so and the bytes agree. */
  getPicture(): Picture | null;
  /**
   * The body as a submitted form, urlencoded or multipart, in the charset that it names. Rejects if
   * it is none; where nobody catches that, the client is answered 400 `bad_body`.
   */
  getForm(): Promise<Form>;
}

/** Texts by name. */
interface Texts {
  readonly [name: string]: string | undefined;
}

/** A submitted form. */
interface Form {
  /** The texts by name; of repeated ones, the last. */
  readonly fields: Texts;
  /** The files, in the order in which they were sent. */
  readonly files: readonly Upload[];
  /** Every text that was sent under a name, in order: what was ticked of several boxes. */
  all(name: string): string[];
}

/** A file of a form. Its name and type are what the client says: use neither as a path. */
interface Upload {
  /** The name of the form's field. */
  readonly field: string;
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** A picture: its media type, such as `"image/png"`, and its bytes. */
interface Picture {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * What became of a token. The client cannot tell these apart unless the handler says so.
 *
 * `absent`: there was none. `restored`: `session` is now the one that it was minted in. The others
 * changed nothing. `askFirst`: the browser is signed in to another session, or the token wants a
 * person to agree; it is unspent. `endedBySignIn`: somebody signed in to its session, in another tab
 * perhaps, which ended the tokens that were unspent. `used` says when it was redeemed, such as `"2026-01-01T09:30:00.000Z"`.
 */
type Otp =
  | { readonly outcome: "used"; readonly usedAt: string }
  | {
      readonly outcome:
        | "absent"
        | "restored"
        | "expired"
        | "unknown"
        | "sessionGone"
        | "endedBySignIn"
        | "wrongHandler"
        | "askFirst";
    };

/**
 * The visitor's session. Nothing is stored until something is written, so that a guest who only
 * looks costs nothing.
 */
interface Session {
  /** Its name: 32 hex digits that may be logged and shown. It opens nothing. */
  readonly id: string;
  /**
   * What the session remembers: values that can be written as JSON, by key. Use it as any other
   * object, `session.storage.cart.items.push(item)` included; `delete` takes a key away.
   *
   * Changes are stored when the handler ends, and before `createOTP`, `createCallbackURL`,
   * `update`, `restore`, `reload` and `logout` do their work. Requests of one session run in
   * parallel: writers of different keys lose nothing; for two writers of one key there is
   * {@link update}.
   *
   * What other requests have written shows once one of those calls has been awaited. A value that
   * somebody else has changed is then a new object: read it from the storage again.
   *
   * What JSON would lose raises a `TypeError` that names its place: functions, `NaN`, a `Date` that
   * is no time, `Map`, `Error`, bytes, a promise, and objects that show nothing of what they hold.
   */
  readonly storage: SessionStorage;
  /** The name that `setPrivileges` gave; empty for a guest. */
  readonly userName: string;
  /** When it ends unless it is used: its idle timeout, or the end of its last unspent token if
   * that is later. Such as `"2026-01-01T09:30:00.000Z"`. */
  readonly expirationDate: string;
  /** Minutes without a request after which it ends; 60 is the default and the least. */
  idleTimeout: number;
  /** What became of the token that was last given to {@link restore}. */
  readonly restoreOutcome: Otp;

  /** True until privileges were set. */
  isGuest(): boolean;
  /**
   * Adds privileges: one name, several between commas, a list, or more exactly. Names that
   * `roles.json` does not have are ignored. Whoever gains by it gets a fresh credential; every
   * other right to the session ends and so do its unspent tokens, unless `keepDevices` says
   * otherwise. In a `context` that mode `auto` chose nobody gains: `contextMayNotGain`.
   */
  setPrivileges(wish: string | readonly string[] | PrivilegesWish): boolean;
  /** Takes all privileges away. The user's name stays, and the session does not become a guest's. */
  clearPrivileges(): boolean;
  /** Whether the session has the privilege, by itself or through another that includes it. */
  hasPrivilege(name: string): boolean;
  /** All privileges, included ones first. */
  getPrivileges(): string[];

  /**
   * Mints a token: 32 hex digits that bring one later request back into this session, exactly
   * once. A number is its lifespan in seconds.
   */
  createOTP(wish?: number | TokenWish): Promise<string>;
  /**
   * Mints a token and returns the absolute URL of `path` that brings it back, under `%244DSID` or
   * under the row's own `param`. A path that no row answers raises.
   */
  createCallbackURL(path: string, wish?: number | LinkWish): Promise<string>;
  /**
   * The absolute URL of a path of this site, such as the `redirect_uri` of a sign-in. It begins
   * with the setting `public_origin`, never with anything from the request.
   */
  publicURL(path: string): string;
  /**
   * Redeems a token. Once that is true, `session` is the one that it was minted in; objects that
   * were read from its storage before still belong to the one before.
   *
   * A browser that is signed in to another session stays there, and `restoreOutcome` is
   * `askFirst`, unless `switch` says that the person wants to leave it.
   */
  restore(token: string, wish?: { switch?: boolean }): Promise<boolean>;
  /** Reads what other requests have written. False when the session has ended. */
  reload(): Promise<boolean>;
  /**
   * Changes one value of the storage, atomically: `change` gets what is stored and returns what to
   * store, `undefined` for nothing. It is called again when somebody else was faster, which shows
   * in the store only: it may be called first with a value that is not the newest.
   */
  update<T = any>(
    key: string,
    change: (stored: T | undefined) => T | undefined | Promise<T | undefined>,
  ): Promise<T | undefined>;
  /** Ends the session, in all its browsers, with all its tokens. */
  logout(): Promise<void>;
  /** The browsers that are in the session. */
  devices(): Device[];
}

/**
 * The keys of `session.storage`. Declare yours to have them checked, in a `.d.ts` file of your
 * own: `interface SessionStorage { cart?: { items: string[] } }`.
 */
interface SessionStorage {
  [key: string]: any;
}

/** Who the session's user shall be. */
interface PrivilegesWish {
  privileges?: string | readonly string[];
  roles?: string | readonly string[];
  userName?: string;
  /** Leaves the session's other browsers and tokens alone. */
  keepDevices?: boolean;
}

/** How a token is to be. */
interface TokenWish {
  /** Seconds until it expires, 10 at least; without it, the session's idle timeout. */
  lifespan?: number;
  /** `"Class.method"`, or a list of them: only these may redeem it. */
  for?: string | readonly string[];
  /** What its bearer gets. `auto`, the default: `share` for a browser, `context` for others. */
  mode?: "auto" | "share" | "context" | "transfer";
  /** Whom to ask for a click before it counts. The stricter of this and the row's wish counts. */
  confirm?: "never" | "foreign" | "always";
  /** Whether only the browser of this request can redeem it; to others it is `unknown`. */
  sameBrowser?: boolean;
}

interface LinkWish extends TokenWish {
  /** The row's own `otp.param` that brings the token, such as `"state"`; else `%244DSID`. */
  param?: string;
}

/**
 * What a member of `session` throws, or rejects with. If a handler lets it pass, the client is
 * answered what fits: 503 while the store is down, 429 for what is done too often, 409 with
 * `Retry-After: 0` for `sessionReplaced`, 403 for `contextMayNotGain`.
 *
 * `sessionReplaced`: somebody has gained privileges in the session since this request began, taken
 * it over (`transfer`), or ended this browser's access. Nothing was read or written, and `session`
 * shows what it showed before. What was set before and cannot be kept any more is answered 409, too.
 */
interface SessionError extends Error {
  readonly name: "SessionError";
  readonly code:
    | "contended"
    | "contextMayNotGain"
    | "noPublicOrigin"
    | "noRandomness"
    | "notJson"
    | "refused"
    | "sessionEnded"
    | "sessionReplaced"
    | "storeUnavailable"
    | "tooLarge"
    | "tooManyGuests"
    | "tooManyHandlers"
    | "tooManyTokens"
    | "tooOften";
}

/** A browser that is in a session. */
interface Device {
  readonly id: string;
  /** When it joined, such as `"2026-01-01T09:30:00.000Z"`. */
  readonly since: string;
  /** What it said it is. */
  readonly label: string;
  /** Whether this request came from it. */
  readonly current: boolean;
}

declare module "callgate" {
  /** An answer that is sent as it is. */
  export class OutgoingMessage {
    constructor();
    /** The body. Assigning to it leaves the content type alone; {@link setBody} does not. */
    body: Body | undefined;
    /** The status: 200 unless it was set. */
    status: number;
    /** The header fields so far, by their names as they were given. */
    readonly headers: Texts;
    /**
     * Sets the body, and always the `Content-Type` that goes with it: `text/plain` for text,
     * `application/octet-stream` for bytes, a picture's own, `application/json` for the rest.
     */
    setBody(body: Body): this;
    /** Sets a header field. Throws if it cannot be sent, or is callgate's own. */
    setHeader(name: string, value: string): this;
    /** Sets the status: a whole number from 200 to 599. */
    setStatus(status: number): this;
    /** An HTML page. What is not yours in it has to be escaped before. */
    static html(page: string): OutgoingMessage;
    /** A redirection with status 303: the browser goes there with a GET. */
    static redirect(location: string): OutgoingMessage;
  }

  /** What a body can be: text, bytes, a picture, or what can be written as JSON. */
  type Body = string | ArrayBuffer | ArrayBufferView | Picture | object;
}

// What browsers have, too, as far as handlers need it.

/** Lines in callgate's log, with class, function and request. Secrets do not belong there. */
declare const console: {
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
};

// Timers belong to the request that sets them, and end with it: what a promise on `this` waits
// for must not be a timer alone.
declare function setTimeout<A extends unknown[]>(
  action: (...values: A) => void,
  milliseconds?: number,
  ...values: A
): number;
declare function setInterval<A extends unknown[]>(
  action: (...values: A) => void,
  milliseconds?: number,
  ...values: A
): number;
declare function clearTimeout(timer: number | undefined): void;
declare function clearInterval(timer: number | undefined): void;
declare function queueMicrotask(action: () => void): void;
declare function structuredClone<T>(value: T): T;

/**
 * Asks a third party. Only the hosts that the setting `fetch_hosts` names can be reached, which
 * are none at first. The answer comes whole, within the limits of the settings.
 *
 * It belongs to the request that begins it. When that has ended first, and no other request was
 * under way that may have begun it, the promise is rejected: keep one on `this` together with a
 * `catch` that takes it away again.
 */
declare function fetch(url: string | URL, wish?: FetchWish): Promise<Response>;

interface FetchWish {
  /** `"GET"` unless it says otherwise. */
  method?: string;
  headers?: HeadersInit;
  body?: string | ArrayBuffer | ArrayBufferView | URLSearchParams | null;
  /** `"follow"`, the default, goes only to hosts that are allowed. */
  redirect?: "follow" | "manual" | "error";
  signal?: AbortSignal | null;
  /** Milliseconds until it is given up. */
  timeout?: number;
}

/** What `fetch` rejects with, unless `signal` gave it up. */
interface FetchError extends Error {
  readonly name: "FetchError";
  readonly code:
    | "badAddress"
    | "badRequest"
    | "broken"
    | "notAllowed"
    | "redirected"
    | "tooLarge"
    | "tooSlow"
    | "unreachable";
}

type HeadersInit = Headers | Iterable<readonly [string, string]> | { readonly [name: string]: string };

/** The answer to a `fetch`. */
declare class Response {
  private constructor();
  /** Whether the status is from 200 to 299. */
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: Headers;
  text(): Promise<string>;
  json(): Promise<any>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

declare class Headers {
  constructor(init?: HeadersInit);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getSetCookie(): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(action: (value: string, name: string, headers: Headers) => void, self?: unknown): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

declare class AbortSignal {
  private constructor();
  static abort(reason?: unknown): AbortSignal;
  static timeout(milliseconds: number): AbortSignal;
  static any(signals: Iterable<AbortSignal>): AbortSignal;
  readonly aborted: boolean;
  readonly reason: any;
  onabort: ((event: { readonly type: "abort"; readonly target: AbortSignal }) => void) | null;
  throwIfAborted(): void;
  addEventListener(kind: "abort", action: () => void): void;
  removeEventListener(kind: "abort", action: () => void): void;
}

declare class URL {
  constructor(url: string | URL, base?: string | URL);
  static canParse(url: string | URL, base?: string | URL): boolean;
  static parse(url: string | URL, base?: string | URL): URL | null;
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  readonly searchParams: URLSearchParams;
  hash: string;
  toString(): string;
  toJSON(): string;
}

declare class URLSearchParams {
  constructor(
    init?: string | URLSearchParams | Iterable<readonly [string, string]> | Record<string, string>,
  );
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(action: (value: string, name: string, params: URLSearchParams) => void, self?: unknown): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  toString(): string;
}

declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: "utf-8";
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: ArrayBufferView | ArrayBuffer): string;
}

/** The text that base64 stands for, a character for each byte. */
declare function atob(base64: string): string;
/** The base64 of a text whose characters are bytes. */
declare function btoa(bytes: string): string;

/** How much time has passed. Milliseconds since the class was loaded, and when that was. */
declare const performance: {
  now(): number;
  readonly timeOrigin: number;
};

declare const crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
  readonly subtle: {
    /** The digest of bytes, such as `"SHA-256"`. */
    digest(hash: HashName, content: ArrayBufferView | ArrayBuffer): Promise<ArrayBuffer>;
    /** A key for `sign` and `verify`: the secret of somebody's webhooks. */
    importKey(
      format: "raw",
      secret: ArrayBufferView | ArrayBuffer,
      algorithm: { name: "HMAC"; hash: HashName },
      extractable: false,
      usages: readonly ("sign" | "verify")[],
    ): Promise<CryptoKey>;
    sign(
      algorithm: "HMAC" | { name: "HMAC" },
      key: CryptoKey,
      content: ArrayBufferView | ArrayBuffer,
    ): Promise<ArrayBuffer>;
    /** Whether a signature is right. How long that takes tells nothing about it. */
    verify(
      algorithm: "HMAC" | { name: "HMAC" },
      key: CryptoKey,
      signature: ArrayBufferView | ArrayBuffer,
      content: ArrayBufferView | ArrayBuffer,
    ): Promise<boolean>;
  };
};

type HashName = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512" | { name: string };

interface CryptoKey {
  readonly type: "secret";
  readonly extractable: false;
  readonly algorithm: { readonly name: "HMAC"; readonly hash: { readonly name: string } };
}

/** An error of what browsers have, too; its `name` says which. */
declare class DOMException extends Error {
  constructor(message?: string, name?: string);
  readonly code: number;
}
