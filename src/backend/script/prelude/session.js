// `session`: the session of one request. What it promises is said in docs/CONTRACT.md §5 and §6.
import { host } from "callgate/host";
import { callback, number, options, refuse, text, texts } from "callgate/check";
import { described } from "callgate/inspect";
import { encode, parse } from "callgate/json";
import { outcome } from "callgate/request";
import { Storage } from "callgate/storage";

/** Hands over what has changed inside of stored values. */
export let flush;

const PRIVILEGES = ["privileges", "roles", "userName", "keepDevices"];
const WISHES = ["lifespan", "for", "mode", "confirm", "sameBrowser"];
const LINK_WISHES = [...WISHES, "param"];

export class Session {
  #call;
  #storage;

  constructor(call) {
    this.#call = call;
    this.#storage = new Storage(call);
    Object.freeze(this);
  }

  static {
    flush = (session) => session.#storage.flush();
  }

  get id() {
    return host.sessionId(this.#call);
  }

  get storage() {
    return this.#storage.view;
  }

  get userName() {
    return host.userName(this.#call);
  }

  get expirationDate() {
    return host.expirationDate(this.#call);
  }

  get idleTimeout() {
    return host.idleTimeout(this.#call);
  }

  set idleTimeout(minutes) {
    const wish = number(minutes, "session.idleTimeout", "a number of minutes");
    host.setIdleTimeout(this.#call, wish);
  }

  get restoreOutcome() {
    return outcome(host.restoreOutcome(this.#call));
  }

  isGuest() {
    return host.isGuest(this.#call);
  }

  setPrivileges(wish) {
    const member = "session.setPrivileges";
    const isNames = typeof wish === "string" || Array.isArray(wish);
    if (wish === undefined) refuse(member, "a text, a list of texts or an object", wish);
    const given = isNames ? { privileges: wish } : options(wish, member, PRIVILEGES);
    const { privileges = [], roles = [], userName, keepDevices = false } = given;
    if (userName !== undefined) text(userName, `${member} userName`);
    if (typeof keepDevices !== "boolean") refuse(`${member} keepDevices`, "a boolean", keepDevices);
    return host.setPrivileges(this.#call, {
      privileges: texts(privileges, isNames ? member : `${member} privileges`),
      roles: texts(roles, `${member} roles`),
      userName,
      keepDevices,
    });
  }

  clearPrivileges() {
    return host.clearPrivileges(this.#call);
  }

  hasPrivilege(name) {
    return host.hasPrivilege(this.#call, text(name, "session.hasPrivilege"));
  }

  getPrivileges() {
    return host.getPrivileges(this.#call);
  }

  devices() {
    return host.devices(this.#call).map(([id, since, label, current]) =>
      Object.freeze({ id, since, label, current: current !== "" }),
    );
  }

  publicURL(path) {
    return host.publicUrl(this.#call, text(path, "session.publicURL"));
  }

  async createOTP(wish) {
    const checked = mintWish(wish, "session.createOTP");
    return this.#ask(() => host.createOtp(this.#call, checked));
  }

  async createCallbackURL(path, wish) {
    text(path, "session.createCallbackURL", "a text for the path");
    const checked = mintWish(wish, "session.createCallbackURL", LINK_WISHES);
    return this.#ask(() => host.createCallbackUrl(this.#call, { path, ...checked }));
  }

  /** Reads again what other requests have written. */
  async reload() {
    return this.#ask(() => host.reload(this.#call));
  }

  /**
   * Redeems a token. Once that is true the storage is another session's: objects that were read
   * from it before still belong to the one before.
   */
  async restore(token, wish) {
    text(token, "session.restore");
    const { switch: moves = false } = options(wish, "session.restore", ["switch"]);
    if (typeof moves !== "boolean") refuse("session.restore switch", "a boolean", moves);
    this.#storage.flush();
    const restored = await host.restore(this.#call, { token, switch: moves });
    if (restored) this.#storage.forget();
    else await this.reload();
    return restored;
  }

  /**
   * Sets a key to what `change` makes of its value, `undefined` for none. When somebody else has
   * written the key meanwhile, `change` is called again with what he wrote.
   */
  async update(key, change) {
    text(key, "session.update", "a text for the key");
    callback(change, "session.update");
    this.#storage.flush();
    await host.keep(this.#call);
    for (let attempt = 1; ; attempt += 1) {
      const [revision, before] = host.updateRead(this.#call, key);
      const value = await change(before === undefined ? undefined : parse(before));
      const text = value === undefined ? undefined : encode(value, `session.update(${JSON.stringify(key)})`);
      if (await host.updateWrite(this.#call, { key, revision, text, attempt })) {
        this.#storage.replace(key, value, text);
        this.#storage.refresh();
        return value;
      }
    }
  }

  /** Has the host ask the store, on top of what was written here, and shows what it has learned. */
  async #ask(question) {
    this.#storage.flush();
    try {
      return await question();
    } finally {
      this.#storage.refresh();
    }
  }

  async logout() {
    await host.logout(this.#call);
    this.#storage.forget();
  }

  [described]() {
    return `Session ${this.id}`;
  }
}

/** The wishes of a mint: seconds, or an object of them all. */
function mintWish(wish, member, names = WISHES) {
  const given = typeof wish === "number" ? { lifespan: wish } : options(wish, member, names);
  const { lifespan, for: handlers = [], mode, confirm, sameBrowser = false, param } = given;
  if (lifespan !== undefined) number(lifespan, `${member} lifespan`, "a number of seconds");
  if (mode !== undefined) text(mode, `${member} mode`);
  if (confirm !== undefined) text(confirm, `${member} confirm`);
  if (typeof sameBrowser !== "boolean") refuse(`${member} sameBrowser`, "a boolean", sameBrowser);
  if (param !== undefined) text(param, `${member} param`);
  return {
    lifespan,
    handlers: texts(handlers, `${member} for`),
    mode,
    confirm,
    sameBrowser,
    param,
  };
}
