// Right uses of every member of the declarations, each with the type that it has to have.

import { OutgoingMessage } from "callgate";

export default class Right {
  /** @type {Handler} */
  request(request) {
    /** @type {string[]} */
    const texts = [request.url, request.verb, request.getText(), request.getHeader("Accept")];
    texts.push(...request.urlPath);
    /** @type {(string | undefined)[]} */
    const named = [request.urlQuery.a, request.headers.accept, request.params.number];
    /** @type {string | null} */
    const address = request.remoteAddress;
    /** @type {Uint8Array} */
    const bytes = request.getBlob();
    const picture = request.getPicture();
    if (picture) return new OutgoingMessage().setBody(picture).setHeader("X-Type", picture.type);
    const { outcome } = request.otp;
    if (request.otp.outcome === "used") return `used at ${request.otp.usedAt.slice(11, 19)}`;
    return { texts, named: named.map(String), address, size: bytes.length, outcome };
  }

  /** @type {Handler} */
  async form(request) {
    const form = await request.getForm();
    const [file] = form.files;
    /** @type {string[]} */
    const boxes = form.all("box");
    if (file) return [file.field, file.name, file.type, file.bytes.length, ...boxes];
    return form.fields.email?.trim() ?? null;
  }

  /** @type {Handler} */
  async session(request, session) {
    session.storage.cart = { items: ["seat"] };
    session.storage.cart.items.push("luggage");
    delete session.storage.cart;
    session.idleTimeout = 90;
    /** @type {string[]} */
    const about = [session.id, session.userName, session.expirationDate, session.publicURL("/"), session.takeReturnPath("/")];
    if (session.isGuest() && !session.hasPrivilege("member")) session.setPrivileges("member");
    session.setPrivileges(["member", "editor"]);
    session.setPrivileges({ roles: ["staff"], userName: "Ada", keepDevices: true });
    about.push(...session.getPrivileges(), ...session.devices().map(({ since }) => since));
    session.clearPrivileges();
    /** @type {string} */
    const token = await session.createOTP(60);
    const wish = { lifespan: 60, for: ["Right.session"] };
    await session.createOTP({ ...wish, mode: "context", confirm: "always" });
    about.push(await session.createCallbackURL("/back", wish));
    if (!(await session.restore(token))) about.push(session.restoreOutcome.outcome);
    await session.update("visits", (visits = 0) => visits + 1);
    await session.logout();
    return about;
  }

  /** @type {Handler} */
  message() {
    const page = OutgoingMessage.html("<h1>Hello</h1>").setStatus(201);
    page.setHeader("Cache-Control", "no-store").setBody(new Uint8Array([1, 2]));
    page.setBody({ a: [1, "two", null] });
    page.status = 404;
    if (page.status === 404 && page.headers["Cache-Control"]) return page;
    return OutgoingMessage.redirect("/");
  }

  /** @type {Handler} */
  async web() {
    const timer = setTimeout((name) => console.log(name), 10, "a name");
    clearTimeout(timer);
    const url = new URL("/a?b=c", "https://example.com");
    url.searchParams.set("d", "e");
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ a: 1 }),
      signal: AbortSignal.timeout(1_000),
    });
    if (!answer.ok) throw new Error(`the bank said ${answer.status}`, { cause: answer.url });
    const { paid } = await answer.json();
    const text = new TextEncoder().encode(crypto.randomUUID());
    const digest = await crypto.subtle.digest("SHA-256", text);
    console.info("digest", btoa(String.fromCharCode(...new Uint8Array(digest))), paid);
  }
}
