// What `session` promises.
import { OutgoingMessage } from "callgate";
import { equal, raises, rejects } from "./check.js";

export default class Visit {
  async knowsItself(_, session) {
    equal(/^[0-9A-F]{32}$/.test(session.id), true);
    equal([session.userName, session.isGuest(), session.idleTimeout], ["", true, 60]);
    equal(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(session.expirationDate), true);
    equal(session.restoreOutcome, { outcome: "absent" });
    session.idleTimeout = 5;
    equal(session.idleTimeout, 60);
    session.idleTimeout = 90.5;
    equal(session.idleTimeout, 91);
    raises("TypeError", "session.idleTimeout wants a number of minutes, not a text", () => (session.idleTimeout = "90"));
    raises("TypeError", "", () => (session.id = "x"));
    raises("TypeError", "", () => (session.userName = "x"));
    equal(session.publicURL("/done?x=1"), "http://127.0.0.1:8044/done?x=1");
    raises("SessionError", "begin it with a single slash", () => session.publicURL("https://evil.example/"));
    raises("TypeError", "a text, not nothing", () => session.publicURL());
    session.storage["callgate.returnPath"] = "//evil.example/";
    equal(session.takeReturnPath("/home"), "/home");
    session.storage["callgate.returnPath"] = "/basket?n=1";
    equal(session.takeReturnPath("/home"), "/basket?n=1");
    equal(session.takeReturnPath("/home"), "/home");
    equal(Object.keys(session.storage).includes("callgate.returnPath"), false);
  }

  async hasPrivileges(_, session) {
    equal(session.setPrivileges("a, b"), true);
    equal([session.isGuest(), session.getPrivileges()], [false, ["a", "b"]]);
    session.setPrivileges(["c"]);
    session.setPrivileges({ privileges: "d", roles: [], userName: "Jürgen", keepDevices: true });
    equal([session.userName, session.hasPrivilege("D"), session.hasPrivilege("x")], ["Jürgen", true, false]);
    equal([session.clearPrivileges(), session.getPrivileges(), session.isGuest()], [true, [], false]);
    raises("TypeError", "session.setPrivileges wants a text, a list of texts or an object, not nothing", () => session.setPrivileges());
    raises("TypeError", "not a number", () => session.setPrivileges(7));
    raises("TypeError", "a text or a list of texts", () => session.setPrivileges([1]));
    raises("TypeError", 'does not know "privilege"', () => session.setPrivileges({ privilege: "admin" }));
    raises("TypeError", "keepDevices wants a boolean", () => session.setPrivileges({ keepDevices: "yes" }));
    raises("TypeError", "userName wants a text", () => session.setPrivileges({ userName: null }));
    raises("SessionError", "at most 256 bytes", () => session.setPrivileges({ userName: "x".repeat(300) }));
    raises("TypeError", "session.hasPrivilege wants a text", () => session.hasPrivilege());
  }

  async mints(_, session) {
    for (const wish of [undefined, 30, {}, { lifespan: 1, for: "Visit.mints.run", mode: "share", confirm: "always" }, { for: ["Visit.mints.run", "Visit.mint.run"] }]) {
      equal(/^[0-9A-F]{32}$/.test(await session.createOTP(wish)), true);
    }
    const url = await session.createCallbackURL("/Visit/mint?x=1", { lifespan: 60 });
    equal(/^http:\/\/127.0.0.1:8044\/Visit\/mint\?x=1&%244DSID=[0-9A-F]{32}$/.test(url), true);
    await rejects("TypeError", "session.createOTP wants an object of lifespan", session.createOTP("30"));
    await rejects("TypeError", 'does not know "lifetime"', session.createOTP({ lifetime: 30 }));
    await rejects("TypeError", "lifespan wants a number of seconds", session.createOTP({ lifespan: NaN }));
    await rejects("TypeError", "for wants a text or a list", session.createOTP({ for: 1 }));
    await rejects("RangeError", "mode is not a restore mode", session.createOTP({ mode: "steal" }));
    await rejects("RangeError", "confirm is no wish", session.createOTP({ confirm: "perhaps" }));
    await rejects("TypeError", "a text for the path", session.createCallbackURL());
    await rejects("SessionError", "single slash", session.createCallbackURL("done"));
    await rejects("TypeError", "session.restore wants a text, not nothing", session.restore());
    const refused = await rejects("SessionError", "16 handlers", session.createOTP({ for: Array(17).fill("A.b") }));
    equal(refused.code, "tooManyHandlers");
  }

  async mint({ urlQuery }, session) {
    session.storage.from = urlQuery.from;
    return new OutgoingMessage().setBody(await session.createOTP());
  }

  async restore({ urlQuery }, session) {
    session.storage.mine = "kept";
    const before = session.id;
    const restored = await session.restore(urlQuery.token);
    const { outcome, usedAt } = session.restoreOutcome;
    return { restored, outcome, used: typeof usedAt, moved: before !== session.id, storage: { ...session.storage } };
  }

  async writeAfterRestore({ urlQuery }, session) {
    equal(session.storage.from, undefined);
    await session.restore(urlQuery.token);
    session.storage.answered = session.storage.from;
  }

  async logout(_, session) {
    const before = session.id;
    await session.logout();
    equal([session.id === before, Object.keys(session.storage)], [false, []]);
  }

  devices(_, session) {
    return session.devices();
  }

  read(_, session) {
    return { id: session.id, user: session.userName, storage: { ...session.storage } };
  }

  login(_, session) {
    session.setPrivileges({ privileges: "admin", userName: "ann" });
  }
}
