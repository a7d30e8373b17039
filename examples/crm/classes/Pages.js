// The pages: the form, and what a salesperson sees.

import { OutgoingMessage } from "callgate";

/** Text as HTML. */
const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (letter) => `&#${letter.codePointAt(0)};`);

/** @param {string} title @param {string} content */
const page = (title, content) =>
  OutgoingMessage.html(
    `<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body { font: 1.1rem/1.6 system-ui; max-width: 30rem; margin: 3rem auto; padding: 0 1rem }
label, input, button { display: block; font: inherit; margin-block: .4rem } input { width: 100% }</style>
<h1>${title}</h1>
${content}`,
  )
    .setHeader("Content-Security-Policy", "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
    .setHeader("Cache-Control", "no-store");

export default class Pages {
  /** @type {Handler} */
  form() {
    return page(
      "Sign in",
      `<form action="/4DACTION/authenticate" method="post">
<label for="userId">UserId</label>
<input id="userId" name="userId" inputmode="numeric" autocomplete="username" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log In</button>
</form>`,
    );
  }

  /** @type {Handler} */
  top3(request, session) {
    const rows = (session.storage.myTop3 ?? []).map(
      ({ name, totalPurchase }) => `<li>${escaped(name)}: ${totalPurchase}</li>`,
    );
    return page(
      `Hello, ${escaped(session.userName)}`,
      `<p>Your best customers:</p><ol>${rows.join("")}</ol>
<form action="/leave" method="post"><button>Sign out</button></form>`,
    );
  }

  /** @type {Handler} */
  async leave(request, session) {
    await session.logout();
    return OutgoingMessage.redirect("/authenticate.shtml");
  }
}
