// The front page: what callgate does, and the session of this browser.

import { OutgoingMessage } from "callgate";
import { html } from "./lib/html.js";
import { SHOP, page, redirect, shortId } from "./lib/page.js";
import { STYLE } from "./lib/style.js";

export default class Home {
  /**
   * Reading costs nothing: nothing is stored until something is written.
   *
   * @type {Handler}
   */
  show(request, session) {
    const { storage } = session;
    const short = shortId(session);
    return page(session, SHOP, "callgate demo", html`<h1>Sent away, and brought back</h1>
<p class="lead">An application sends you off to somebody else: a mailbox, a bank, an identity
provider. callgate brings the answer back to exactly the session that you left, even from another
browser. It does so exactly once.</p>

<ol class="path">
<li><b>This browser</b> begins something<small>session ${short}</small></li>
<li><b>Somebody else</b> gets a link<small>with a one-time token</small></li>
<li><b>Any browser</b> comes back<small>into session ${short}</small></li>
</ol>

<h2>Try it, with two browsers</h2>
<p>Open a private window beside this one: that is your second browser. Nothing leaves this
machine.</p>
<div class="cards">
<a class="card" href="mail"><b>A link in an e-mail</b>
Ask for it here, follow it there.<small>${stateOfMail(storage.status)}</small></a>
<a class="card" href="order"><b>A payment</b>
The bank calls back, and perhaps twice.<small>${stateOfOrder(storage.order)}</small></a>
<a class="card" href="signin"><b>A sign-in</b>
A provider hands <code>state</code> back.<small>${
  session.isGuest() ? "not signed in" : "signed in"
}</small></a>
</div>

<h2>This browser’s session</h2>
<dl>
<dt>Name</dt><dd><code>${session.id}</code></dd>
<dt>You are</dt><dd>${session.isGuest() ? "a guest" : session.userName}</dd>
<dt>Browsers in it</dt><dd>${browsers(session.devices().length)}</dd>
<dt>Ends</dt><dd>${session.expirationDate}, unless it is used</dd>
<dt>Storage</dt><dd><pre>${JSON.stringify(storage, null, 2)}</pre></dd>
</dl>
<form method="post" action="leave"><button class="quiet">End this session</button></form>

<p class="aside">These pages are the class files in <code>classes/</code>, and
<code>handlers.json</code> says which of them answers what. They are yours to edit: a changed file
is in use a moment later, and <code>callgate check</code> tells what is wrong with it.</p>`);
  }

  /** @type {Handler} */
  style() {
    return new OutgoingMessage()
      .setBody(STYLE)
      .setHeader("Content-Type", "text/css; charset=utf-8")
      .setHeader("Cache-Control", "no-cache");
  }

  /**
   * Ends the session for all its browsers, and revokes all its tokens.
   *
   * @type {Handler}
   */
  async leave(request, session) {
    await session.logout();
    return redirect(session, "/");
  }
}

// The classes share only the session. This reads what Mail and Shop have written there.

/** @param {{ step: string, email: string } | undefined} status */
function stateOfMail(status) {
  if (!status) return "not begun";
  const isValidated = status.step === "Email validated";
  return isValidated ? `${status.email} is validated` : "waiting for the link";
}

/** @param {{ number: number, state: string } | undefined} order */
function stateOfOrder(order) {
  if (!order) return "not begun";
  return `order ${order.number} is ${order.state === "open" ? "not paid" : "paid"}`;
}

/** @param {number} count browsers that have a credential for the session */
function browsers(count) {
  if (count === 0) return "this one; nothing is stored yet";
  return count === 1 ? "this one" : `${count}, this one among them`;
}
