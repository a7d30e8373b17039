// Wrong uses, each of which an editor has to underline: where it does not, the line above it is
// an error. So the declarations cannot be all `any`.

// @ts-expect-error misspelt
import { OutgoingMesage } from "callgate";
// @ts-expect-error nothing of the machine can be imported
import { readFile } from "node:fs";
import { OutgoingMessage } from "callgate";

export default class Wrong {
  /** @type {Handler} */
  async request(request) {
    // @ts-expect-error misspelt
    request.getJson();
    // @ts-expect-error read-only
    request.verb = "GET";
    // @ts-expect-error read-only
    request.urlQuery.a = "b";
    // @ts-expect-error read-only
    request.urlPath.push("a");
    // @ts-expect-error perhaps there is no such parameter
    request.urlQuery.b.trim();
    // @ts-expect-error no such outcome
    if (request.otp.outcome === "done") return;
    // @ts-expect-error only a token that was used has a moment of use
    request.otp.usedAt.slice(1);
    // @ts-expect-error a header is named by a text
    request.getHeader(1);
    // @ts-expect-error perhaps it is no picture
    request.getPicture().type;
    // @ts-expect-error a promise
    request.getForm().fields;
    const form = await request.getForm();
    // @ts-expect-error fields are in `fields`
    form.email;
    // @ts-expect-error perhaps there is no such field
    form.fields.email.trim();
  }

  /** @type {Handler} */
  async session(request, session) {
    // @ts-expect-error read-only
    session.id = "0";
    // @ts-expect-error read-only
    session.storage = {};
    // @ts-expect-error a function
    if (session.isGuest) return;
    // @ts-expect-error minutes are a number
    session.idleTimeout = "60";
    // @ts-expect-error a promise, which is no text
    session.createOTP().slice(1);
    // @ts-expect-error misspelt
    await session.createOTP({ lifeSpan: 60 });
    // @ts-expect-error no such mode
    await session.createOTP({ mode: "shared" });
    // @ts-expect-error a path is needed
    await session.createCallbackURL();
    // @ts-expect-error perhaps there is no such parameter
    await session.restore(request.urlQuery.state);
    // @ts-expect-error how it is to be changed is missing
    await session.update("a");
    // @ts-expect-error no such wish
    session.setPrivileges({ privilege: "member" });
    // @ts-expect-error no text, no list
    session.setPrivileges(1);
    // @ts-expect-error a promise is always true
    if (session.restore("0")) return;
  }

  /** @type {Handler} */
  nonsense(request) {
    // @ts-expect-error a function is no answer
    return () => request.verb;
  }

  /** @type {Handler} */
  message() {
    // @ts-expect-error a status is a number
    new OutgoingMessage().setStatus("404");
    // @ts-expect-error a value is a text
    new OutgoingMessage().setHeader("Content-Length", 1);
    // @ts-expect-error a name and a value
    new OutgoingMessage().setHeader("Accept");
    // @ts-expect-error a number is no body
    new OutgoingMessage().setBody(1);
    // @ts-expect-error misspelt
    new OutgoingMessage().statusCode = 404;
    // @ts-expect-error one of Node's, not of ours
    return new OutgoingMessage().send("hello");
  }

  /** @type {Handler} */
  async web() {
    // @ts-expect-error Node's
    process.exit();
    // @ts-expect-error Node's
    require("fs");
    // @ts-expect-error a browser's
    window.close();
    // @ts-expect-error a promise
    fetch("https://example.com").json();
    // @ts-expect-error no such wish
    await fetch("https://example.com", { credentials: "include" });
    // @ts-expect-error text is no bytes
    await crypto.subtle.digest("SHA-256", "text");
    // @ts-expect-error a text is no action
    setTimeout("alert()", 1);
  }
}
