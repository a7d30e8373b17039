// What a class file of callgate sees, for editors and type checkers. callgate never reads it.
//
// `callgate init` writes this file beside the table; `callgate check --types` prints the one of
// the program that you have, for after an upgrade.

/**
 * A function of a class, as rows name it. It may be `async`.
 *
 * Above a method, `@type {Handler}` tells the editor what `request` and `session` are.
 *
 * An {@link OutgoingMessage} is sent as it is; any other value as `{"result": value}`; nothing as
 * status 200 with an empty body. What it throws is logged, and the client learns 500 and no more.
 */
type Handler = (
  request: IncomingMessage,
  session: Session,
) => Answer | Promise<Answer>;

/** What a handler may answer. */
type Answer = import("callgate").OutgoingMessage | Json | void;

/** What can be written as JSON. */
type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

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
  readonly urlQuery: { readonly [key: string]: string | undefined };
  /** The method in upper case, such as `"GET"`. */
  readonly verb: string;
  /** The header fields, by lower-case name. */
  readonly headers: { readonly [name: string]: string | undefined };
  /** The named captures of the row's `regexPattern`. */
  readonly params: { readonly [name: string]: string | undefined };
  /** The address of the client; behind a proxy that the settings trust, of whom it stands for. */
  readonly remoteAddress: string | null;
  /** What became of the token that this request brought. */
  readonly otp: Otp;
  /** The value of a header field, whatever the case of its name; empty when it is absent. */
  getHeader(name: string): string;
  /** The body as text. Bytes that are no UTF-8 are replaced. */
  getText(): string;
  /** The body as JSON, whatever its type says. Throws a `SyntaxError` if it is none. */
  getJSON(): any;
  /** The body as it came. */
  getBlob(): Uint8Array;
  /** The body as a picture; null unless its type says so and the bytes agree. */
  getPicture(): Picture | null;
  /**
   * The fields of a submitted form, urlencoded or multipart; of a repeated one, the last. Rejects
   * if the body is no form.
   */
  getForm(): Promise<{ readonly [name: string]: string | UploadedFile | undefined }>;
}

/** A file of a multipart form. Name and type are what the client says: use neither as a path. */
interface UploadedFile {
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
 * changed nothing; `used` says when it was redeemed, such as `"2026-01-01T09:30:00.000Z"`.
 */
type Otp =
  | { readonly outcome: "absent" | "restored" | "expired" | "unknown" | "sessionGone" | "wrongHandler" }
  | { readonly outcome: "used"; readonly usedAt: string };

/**
 * The visitor's session. Nothing is stored until something is written, so that a guest who only
 * looks costs nothing.
 */
interface Session {
  /** Its name: 32 hex digits that may be logged and shown. It opens nothing. */
  readonly id: string;
  /**
   * What the session remembers: values that can be written as JSON, by key. Use it as any other
   * object, `session.storage.cart.items.push(item)` included.
   *
   * Changes are stored when the handler ends, and before `createOTP`, `createCallbackURL`,
   * `update`, `restore` and `logout` do their work. Requests of one session run in parallel:
   * writers of different keys lose nothing; for two writers of one key there is {@link update}.
   */
  readonly storage: SessionStorage;
  /** The name that `setPrivileges` gave; empty for a guest. */
  readonly userName: string;
  /** When it ends unless it is used, such as `"2026-01-01T09:30:00.000Z"`. */
  readonly expirationDate: string;
  /** Minutes without a request after which it ends; 60 at least, which is the default. */
  idleTimeout: number;
  /** What became of the token that was last given to {@link restore}. */
  readonly restoreOutcome: Otp;

  /** True until privileges were set. */
  isGuest(): boolean;
  /**
   * Adds privileges: one name, several between commas, a list, or more exactly. Names that
   * `roles.json` does not have are ignored. This browser gets a fresh credential, and the
   * session's other browsers and unspent tokens end, unless `keepDevices` says otherwise.
   */
  setPrivileges(privileges: string | readonly string[] | Privileges): boolean;
  /** Takes all privileges and the user's name away. */
  clearPrivileges(): boolean;
  /** Whether the session has the privilege, itself or through another that includes it. */
  hasPrivilege(name: string): boolean;
  /** All privileges, included ones first. */
  getPrivileges(): string[];

  /**
   * Mints a token: 32 hex digits that bring one later request back into this session, exactly
   * once. A number is its lifespan in seconds.
   */
  createOTP(options?: number | TokenOptions): Promise<string>;
  /** Mints a token and returns the absolute URL of `path` that brings it back under `$4DSID`. */
  createCallbackURL(path: string, options?: number | TokenOptions): Promise<string>;
  /**
   * The absolute URL of a path of this site, such as the `redirect_uri` of a sign-in. It begins
   * with the setting `public_origin`, never with anything from the request.
   */
  publicURL(path: string): string;
  /** Redeems a token; if that is true, `session` is now the one that it was minted in. */
  restore(token: string): Promise<boolean>;
  /**
   * Changes one value, atomically: `change` gets what is stored and returns what to store,
   * nothing to delete it. It may be called again when somebody else was faster.
   */
  update(key: string, change: (stored: any) => any): Promise<any>;
  /** Ends the session, in all its browsers, with all its tokens. */
  logout(): Promise<void>;
  /** The browsers that are in the session. */
  devices(): Device[];
}

/**
 * The keys of {@link Session.storage}. Declare yours to have them checked, in a `.d.ts` file of
 * your own: `interface SessionStorage { cart?: { items: string[] } }`.
 */
interface SessionStorage {
  [key: string]: any;
}

/** Who the session's user shall be. */
interface Privileges {
  privileges?: string | readonly string[];
  roles?: string | readonly string[];
  userName?: string;
  /** Leaves the session's other browsers and tokens alone. */
  keepDevices?: boolean;
}

/** How a token is to be. */
interface TokenOptions {
  /** Seconds until it expires; 10 at least, without it the session's idle timeout. */
  lifespan?: number;
  /** `"Class.method"`, or a list of them: only these may redeem it. */
  for?: string | readonly string[];
  /** What its bearer gets. `auto`, the default: `share` for a browser, `context` for others. */
  mode?: "auto" | "share" | "context" | "transfer";
  /** Whom to ask for a click before it counts. The stricter of this and the row's wish counts. */
  confirm?: "never" | "foreign" | "always";
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
    /** What is sent; {@link setBody} writes it. */
    readonly body: string | Uint8Array;
    /** The header fields so far, by lower-case name. */
    readonly headers: { readonly [name: string]: string };
    /** The status: 200 unless {@link setStatus} changed it. */
    readonly status: number;
    /**
     * Sets the body, and always the `Content-Type` that goes with it: `text/plain` for text,
     * `application/octet-stream` for bytes, a picture's own, `application/json` for the rest.
     */
    setBody(body: string | Uint8Array | ArrayBuffer | Picture | object): this;
    /** Sets a header field. Throws if it cannot be sent, or is callgate's own. */
    setHeader(name: string, value: string): this;
    /** Sets the status: 200 to 599. */
    setStatus(status: number): this;
    /** An HTML page. */
    static html(page: string): OutgoingMessage;
    /** A redirection with status 303: the browser goes there with a GET. */
    static redirect(location: string): OutgoingMessage;
  }
}
