// `session`: the session of one request (docs/CONTRACT.md §5 and §6).
import { host } from "callgate/host";
import { callback, number, options, refuse, text, texts } from "callgate/check";
import { described } from "callgate/inspect";
import { encode, parse } from "callgate/json";
import { outcome } from "callgate/request";
import { Storage } from "callgate/storage";

/** Writes changes inside stored values to the host. */
export let flush;

const PRIVILEGES = ["privileges", "roles", "userName", "keepDevices"];
const TOKEN_OPTIONS = ["lifespan", "for", "mode", "confirm", "sameBrowser"];
const LINK_OPTIONS = [...TOKEN_OPTIONS, "param"];

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
    const timeout = number(minutes, "session.idleTimeout", "a number of minutes");
    host.setIdleTimeout(this.#call, timeout);
  }

  get restoreOutcome() {
    return outcome(host.restoreOutcome(this.#call));
  }

  isGuest() {
    return host.isGuest(this.#call);
  }

  setPrivileges(given) {
    const member = "session.setPrivileges";
    const isNames = typeof given === "string" || Array.isArray(given);
    if (given === undefined) refuse(member, "a text, a list of texts or an object", given);
    const fields = isNames ? { privileges: given } : options(given, member, PRIVILEGES);
    const { privileges = [], roles = [], userName, keepDevices = false } = fields;
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

  takeReturnPath(otherwise) {
    text(otherwise, "session.takeReturnPath");
    this.#storage.flush();
    const path = host.takeReturnPath(this.#call, otherwise);
    this.#storage.refresh();
    return path;
  }

  async createOTP(given) {
    const checked = tokenOptions(given, "session.createOTP");
    return this.#refreshAfter(() => host.createOtp(this.#call, checked));
  }

  async createCallbackURL(path, given) {
    text(path, "session.createCallbackURL", "a text for the path");
    const checked = tokenOptions(given, "session.createCallbackURL", LINK_OPTIONS);
    return this.#refreshAfter(() => host.createCallbackUrl(this.#call, { path, ...checked }));
  }

  /** Reads what other requests have written. */
  async reload() {
    return this.#refreshAfter(() => host.reload(this.#call));
  }

  /**
   * Redeems a token. If it returns true, the storage belongs to the restored session. Objects that
   * were read before still belong to the previous one.
   */
  async restore(token, given) {
    text(token, "session.restore");
    const { switch: switches = false } = options(given, "session.restore", ["switch"]);
    if (typeof switches !== "boolean") refuse("session.restore switch", "a boolean", switches);
    this.#storage.flush();
    const restored = await host.restore(this.#call, { token, switch: switches });
    if (restored) this.#storage.forget();
    else await this.reload();
    return restored;
  }

  /**
   * Sets a key to what `change` returns for its current value; `undefined` removes it. If another
   * request has written the key in the meantime, `change` is called again with the new value.
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

  /**
   * Writes local changes, runs a host operation that reads the store, and shows what it has read.
   */
  async #refreshAfter(operation) {
    this.#storage.flush();
    try {
      return await operation();
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

/** Checks the options of a new token: a number of seconds, or an object. */
function tokenOptions(given, member, names = TOKEN_OPTIONS) {
  const fields = typeof given === "number" ? { lifespan: given } : options(given, member, names);
  const { lifespan, for: handlers = [], mode, confirm, sameBrowser = false, param } = fields;
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
