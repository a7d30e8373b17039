// Declarations of what class files of callgate can use, for editors and type checkers. callgate
// never reads this file.
//
// `callgate init` writes it beside the table. After an upgrade, `callgate check --types` prints the
// declarations of the installed version.

/**
 * A function of a class that rows can name. It may be `async`.
 *
 * Write `@type {Handler}` above a method to give the editor the types of `request` and `session`.
 * Under `sessions = "off"` there is no session: `session` is `null`.
 *
 * An `OutgoingMessage` is sent as it is. Any other value is sent as `{"result": value}`, and
 * `undefined` as status 200 with an empty body. An exception is logged, and the client gets 500
 * without details.
 */
type Handler = (request: IncomingMessage, session: Session) => Answer | Promise<Answer>;

/** What a handler may return. */
type Answer = import("callgate").OutgoingMessage | Json | void;

/** A value that can be serialized as JSON. */
type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** The request. It cannot be changed. */
interface IncomingMessage {
  /** Path and query as received, still encoded. */
  readonly url: string;
  /** The decoded segments of the path, without `base_path`. None is empty. */
  readonly urlPath: readonly string[];
  /**
   * The query parameters as 4D reads them: the last of repeated keys, `+` left as it is, one pair
   * of enclosing `'…'` removed, a key without `=` as an empty string.
   */
  readonly urlQuery: Texts;
  /**
   * The query parameters as the URL Standard reads them: `+` is a blank, and `query.getAll(name)`
   * returns every value of a repeated key. A new copy on each read.
   */
  readonly query: URLSearchParams;
  /** The method in upper case, such as `"GET"`. */
  readonly verb: string;
  /** The header fields by lower-case name; the first of several fields with one name. */
  readonly headers: Texts;
  /** The named captures of the row's `regexPattern`. */
  readonly params: Texts;
  /**
   * The address of the client. Behind a trusted proxy, the address that the proxy reports; null if
   * there is no socket.
   */
  readonly remoteAddress: string | null;
  /** The outcome of the token in this request. */
  readonly otp: Otp;
  /** The value of a header field. The name is not case-sensitive; a missing field is empty. */
  getHeader(name: string): string;
  /**
   * The body as text, decoded with the charset of its content type or else as UTF-8, without a byte
   * order mark. Bytes that cannot be decoded are replaced.
   */
  getText(): string;
  /**
   * The body parsed as JSON, whatever its content type; a byte order mark is skipped. Throws a
   * `SyntaxError` if it is not valid JSON. If the handler does not catch it, the client gets 400
   * `bad_body`.
   */
  getJSON(): any;
  /** The body as it was sent, without decompression. Signatures are computed over these bytes. */
  getBlob(): Uint8Array;
  /** The body as a picture; null unless the content type and the bytes agree that it is one. */
  getPicture(): Picture | null;
  /**
   * The body parsed as a form, urlencoded or multipart, in the charset that it names. Rejects if it
   * is not a form. If the handler does not catch it, the client gets 400 `bad_body`.
   */
  getForm(): Promise<Form>;
}

/** Strings by name. */
interface Texts {
  readonly [name: string]: string | undefined;
}

/** A submitted form. */
interface Form {
  /** The text fields by name; the last of repeated ones. */
  readonly fields: Texts;
  /** The files, in the order in which they were sent. */
  readonly files: readonly Upload[];
  /** Every text with this name, in order, such as the values of several checkboxes. */
  all(name: string): string[];
}

/** A file of a form. Its name and type come from the client: use neither as a path. */
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
 * The outcome of a token. The client cannot distinguish the outcomes unless the handler reveals
 * them.
 *
 * `absent`: the request has no token. `restored`: `session` is now the session in which the token
 * was minted. The other outcomes changed nothing. `askFirst`: the browser is signed in to another
 * session, or the token requires a confirmation; it is still unspent. `endedBySignIn`: a sign-in to
 * its session, such as one in another tab, ended its unspent tokens. `used` states when the token
 * was redeemed, such as `"2026-01-01T09:30:00.000Z"`.
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
 * The session of the client. Nothing is stored until something is written, so guests that only read
 * cost nothing.
 */
interface Session {
  /** The session's id: 32 hex digits that may be logged and shown. It grants no access. */
  readonly id: string;
  /**
   * The data of the session: values that can be serialized as JSON, by key. Use it like any other
   * object, including `session.storage.cart.items.push(item)`; `delete` removes a key.
   *
   * Changes are stored when the handler ends, and before `createOTP`, `createCallbackURL`,
   * `update`, `restore`, `reload` and `logout` do their work. Requests of one session run in
   * parallel. Writes to different keys do not conflict; for concurrent writes to one key use {@link
   * update}.
   *
   * Writes of other requests become visible after one of those calls has been awaited. A value that
   * another request has changed is then a new object: read it from the storage again.
   *
   * A value that JSON would change raises a `TypeError` with its path: functions, `NaN`, an invalid
   * `Date`, `Map`, `Error`, bytes, promises, and objects without enumerable members.
   */
  readonly storage: SessionStorage;
  /** The name that was set with `setPrivileges`; empty for a guest. */
  readonly userName: string;
  /**
   * When the session expires if it is not used: after its idle timeout, or with its last unspent
   * token if that is later. Such as `"2026-01-01T09:30:00.000Z"`.
   */
  readonly expirationDate: string;
  /** Minutes without a request after which the session expires. The default and minimum is 60. */
  idleTimeout: number;
  /** The outcome of the last token passed to {@link restore}. */
  readonly restoreOutcome: Otp;

  /** True until privileges are set. */
  isGuest(): boolean;
  /**
   * Adds privileges: one name, several separated by commas, a list, or an object with details.
   * Names that `roles.json` does not define are ignored. A client that gains privileges gets a new
   * credential. All other credentials and unspent tokens of the session are revoked, unless
   * `keepDevices` is set. In a `context` that mode `auto` chose, privileges cannot be gained:
   * `contextMayNotGain`.
   */
  setPrivileges(wish: string | readonly string[] | PrivilegesWish): boolean;
  /**
   * Removes all privileges. The user name stays, and the session does not become a guest session.
   */
  clearPrivileges(): boolean;
  /** Whether the session has the privilege, directly or through another that includes it. */
  hasPrivilege(name: string): boolean;
  /** All privileges, including inherited ones, which come first. */
  getPrivileges(): string[];

  /**
   * Mints a token: 32 hex digits with which one later request can restore this session, exactly
   * once. A number is the lifespan in seconds.
   */
  createOTP(wish?: number | TokenWish): Promise<string>;
  /**
   * Mints a token and returns the absolute URL of `path` with the token in `%244DSID` or in the
   * row's own `param`. Throws if no row matches the path.
   */
  createCallbackURL(path: string, wish?: number | LinkWish): Promise<string>;
  /**
   * The absolute URL of a path of this site, such as the `redirect_uri` of a sign-in. The origin is
   * the setting `public_origin` and never comes from the request.
   */
  publicURL(path: string): string;
  /**
   * Where the browser was going when a row with `requires.signIn` sent it to sign in, or
   * `otherwise`. Told once; always a path of this site.
   */
  takeReturnPath(otherwise: string): string;
  /**
   * Redeems a token. If it returns true, `session` is the session in which the token was minted.
   * Objects that were read from the storage before still belong to the previous session.
   *
   * A browser that is signed in to another session stays in it and `restoreOutcome` is `askFirst`,
   * unless `switch` states that the user wants to leave that session.
   */
  restore(token: string, wish?: { switch?: boolean }): Promise<boolean>;
  /** Reads what other requests have written. Returns false if the session has ended. */
  reload(): Promise<boolean>;
  /**
   * Changes one value of the storage atomically. `change` gets the stored value and returns the new
   * one, `undefined` to remove it. If another request writes the key at the same time, `change` is
   * called again; that is detected only in the store, so the first call may get a value that is not
   * the newest.
   */
  update<T = any>(
    key: string,
    change: (stored: T | undefined) => T | undefined | Promise<T | undefined>,
  ): Promise<T | undefined>;
  /** Ends the session for all its browsers, and revokes all its tokens. */
  logout(): Promise<void>;
  /** The browsers with access to the session. */
  devices(): Device[];
}

/**
 * The keys of `session.storage`. To have yours type-checked, declare them in a `.d.ts` file of your
 * own: `interface SessionStorage { cart?: { items: string[] } }`.
 */
interface SessionStorage {
  [key: string]: any;
}

/** The user and privileges to set. */
interface PrivilegesWish {
  privileges?: string | readonly string[];
  roles?: string | readonly string[];
  userName?: string;
  /** Keeps the session's other browsers and tokens. */
  keepDevices?: boolean;
}

/** The options of a token. */
interface TokenWish {
  /** Seconds until the token expires, at least 10. The default is the session's idle timeout. */
  lifespan?: number;
  /** `"Class.method"`, or a list of them: only these handlers can redeem the token. */
  for?: string | readonly string[];
  /**
   * What the client that redeems the token gets. The default `auto` means `share` for a browser and
   * `context` for other clients.
   */
  mode?: "auto" | "share" | "context" | "transfer";
  /**
   * When to ask the user for a confirmation first. The stricter of this and the row's setting
   * applies.
   */
  confirm?: "never" | "foreign" | "always";
  /** Whether only the browser of this request can redeem it. For others it is `unknown`. */
  sameBrowser?: boolean;
}

interface LinkWish extends TokenWish {
  /** The row's own `otp.param` for the token, such as `"state"`; default `%244DSID`. */
  param?: string;
}

/**
 * What a member of `session` throws or rejects with. If the handler does not catch it, the client
 * gets a matching response: 503 if the store is unavailable, 429 if a rate limit is exceeded, 409
 * with `Retry-After: 0` for `sessionReplaced`, 403 for `contextMayNotGain`.
 *
 * `sessionReplaced`: since this request began, another request has gained privileges in the
 * session, taken it over (`transfer`), or revoked this browser's access. Nothing was read or
 * written, and `session` still shows the earlier state. Changes that can no longer be saved when
 * the handler ends cause a 409 as well.
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

/** A browser with access to a session. */
interface Device {
  readonly id: string;
  /** When it gained access, such as `"2026-01-01T09:30:00.000Z"`. */
  readonly since: string;
  /** How it describes itself. */
  readonly label: string;
  /** Whether it sent this request. */
  readonly current: boolean;
}

declare module "callgate" {
  /** The server itself. `sessionCookieName` is the name of the cookie that opens sessions. */
  export const callgate: { readonly sessionCookieName: string };
  /** A response that is sent as it is. */
  export class OutgoingMessage {
    constructor();
    /** The body. Assigning to it does not change the content type; {@link setBody} does. */
    body: Body | undefined;
    /** The status; default 200. */
    status: number;
    /** The header fields set so far, by their names as given. */
    readonly headers: Texts;
    /**
     * Sets the body and its `Content-Type`: `text/plain` for text, `application/octet-stream` for
     * bytes, a picture's own type, `application/json` for anything else.
     */
    setBody(body: Body): this;
    /** Sets a header field. Throws if the field cannot be sent or is reserved for callgate. */
    setHeader(name: string, value: string): this;
    /** Sets the status: a whole number from 200 to 599. */
    setStatus(status: number): this;
    /** An HTML page. Text from other sources has to be escaped before. */
    static html(page: string): OutgoingMessage;
    /** A redirect with status 303: the browser follows with a GET. */
    static redirect(location: string): OutgoingMessage;
  }

  /** A body: text, bytes, a picture, or a value that can be serialized as JSON. */
  type Body = string | ArrayBuffer | ArrayBufferView | Picture | object;
}

// Web APIs, as far as handlers need them.

/** Writes to callgate's log, with class, function and request. Do not log secrets. */
declare const console: {
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
};

// Timers belong to the request that sets them and end with it. A promise on `this` must therefore
// not depend on a timer alone.
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
 * Sends a request to a third party. Only hosts in the setting `fetch_hosts` can be reached; by
 * default there are none. The response is read completely, within the limits of the settings.
 *
 * A fetch belongs to the request that starts it. If that request ends first, and no other request
 * was in progress that may have started it, the promise is rejected. A promise that is kept on
 * `this` therefore needs a `catch` that removes it.
 */
declare function fetch(url: string | URL, wish?: FetchWish): Promise<Response>;

interface FetchWish {
  /** Default `"GET"`. */
  method?: string;
  headers?: HeadersInit;
  body?: string | ArrayBuffer | ArrayBufferView | URLSearchParams | null;
  /** Default `"follow"`, which follows redirects to allowed hosts only. */
  redirect?: "follow" | "manual" | "error";
  signal?: AbortSignal | null;
  /** Timeout in milliseconds. */
  timeout?: number;
}

/** What `fetch` rejects with, unless it was aborted by `signal`. */
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

/** The response to a `fetch`. */
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

/** Decodes base64 to a string with one character per byte. */
declare function atob(base64: string): string;
/** Encodes a string with one character per byte as base64. */
declare function btoa(bytes: string): string;

/** Milliseconds since the class was loaded, and the time of that. */
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
    /** A key for `sign` and `verify`, such as the secret of a webhook. */
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
    /** Whether a signature is valid, compared in constant time. */
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

/** An error of a web API; see its `name`. */
declare class DOMException extends Error {
  constructor(message?: string, name?: string);
  readonly code: number;
}
