// Validation of an e-mail address: the link in the mail restores the session that requested it, in
// any browser.

import { html } from "./lib/html.js";
import { SHOP, note, page, redirect, refused } from "./lib/page.js";

// Session data: storage.status = { step, email }.
const WAITING = "Waiting for validation email";
const VALIDATED = "Email validated";

const BACK = { href: "mail", label: "Back to the e-mail page" };

export default class Mail {
  /** @type {Handler} */
  show(request, session) {
    const { step, email } = session.storage.status ?? {};
    switch (step) {
      case WAITING:
        return page(session, SHOP, WAITING, waiting(email));
      case VALIDATED:
        return page(session, SHOP, VALIDATED, validated(email));
      default:
        return page(session, SHOP, "Validate an e-mail address", ADDRESS_FORM);
    }
  }

  /**
   * Creates the link and shows the mail. A real application sends the mail and does not show it,
   * because anyone who sees the link can use it.
   *
   * @type {Handler}
   */
  async send(request, session) {
    const { fields } = await request.getForm();
    const { status } = session.storage;
    if (status?.step === VALIDATED) return redirect(session, "/mail");

    // Once the mail is sent, the address must not change. Otherwise a user could validate one
    // address with a link that was sent to another.
    const email = status?.email ?? (fields.email ?? "").trim();
    if (!isAddress(email)) {
      const text = "Write one like anna@example.com.";
      return note(session, { status: 422, title: "That is no e-mail address", text, wayOn: BACK });
    }
    session.storage.status = { step: WAITING, email };

    const lifespan = fields.hurry ? 10 : 15 * 60;
    try {
      // The link can be used once, for one function. createCallbackURL stores what was written
      // above before it returns, because the link may be followed while this handler still runs.
      const link = await session.createCallbackURL("/validateEmail", {
        lifespan,
        for: "Mail.validate",
      });
      return page(session, SHOP, "You have mail", mailbox(email, link, lifespan));
    } catch (error) {
      if (error.code !== "tooManyTokens") throw error;
      const text = "A session can have 16 links that nobody has followed. Use one, or wait until " +
        "one has expired.";
      return note(session, { status: 429, title: "Enough mails for now", text, wayOn: BACK });
    }
  }

  /**
   * Handles the link. `session` is the one in which the link was created.
   *
   * @type {Handler}
   */
  validate(request, session) {
    // Without a token this is the client's own session, which proves nothing.
    if (request.otp.outcome === "absent") return redirect(session, "/mail");
    if (request.otp.outcome !== "restored") return refused(session, request.otp, BACK);

    const { status } = session.storage;
    if (status.step === VALIDATED) {
      const text = "An earlier link did it. There is nothing left to do.";
      return note(session, { title: "Your email is validated", text, wayOn: BACK });
    }
    status.step = VALIDATED;
    return page(session, SHOP, "Congratulations", congratulations(status.email));
  }
}

/**
 * Whether the address is plausible. Only the mail itself can prove it.
 *
 * @param {string} text
 */
function isAddress(text) {
  return text.length <= 254 && /^[^@\s\p{Cc}]+@[^\s\p{Cc}]+$/u.test(text);
}

const HURRY = html`<label class="check"><input type="checkbox" name="hurry"> Let the link expire
after 10 seconds, to see that too</label>`;

const START_OVER = html`<form method="post" action="leave"><button class="quiet">Start over with
another address</button></form>`;

const ADDRESS_FORM = html`<h1>Validate an e-mail address</h1>
<p>We write to you, and you follow the link in the mail, from whatever browser you like. Nothing
is really sent: the next page shows you the mail.</p>
<form method="post" action="mail" class="panel">
<label for="email">Your e-mail address</label>
<input id="email" name="email" type="email" value="anna@example.com" required maxlength="254"
 autocomplete="email">
${HURRY}
<button>Send me the link</button>
</form>`;

/** @param {string} email */
const waiting = (email) => html`<h1>Waiting for validation email</h1>
<p>We have written to <b>${email}</b>. Once the link has been followed, here or in another
browser, this page says so.</p>
<p><a class="button" href="mail">Look again</a></p>
<form method="post" action="mail" class="panel">
<p>The link was shown once. callgate itself keeps only a digest of it, so that nobody can find it
in the store.</p>
${HURRY}
<button class="quiet">Send another link</button>
</form>
${START_OVER}`;

/** @param {string} email */
const validated = (email) => html`<p class="mark good">✓</p>
<h1>Email validated</h1>
<p><b>${email}</b> is yours. This page knows, because the link led back to this very session.</p>
<p><a class="button" href="./">To the front page</a></p>
${START_OVER}`;

/** @param {string} email @param {string} link @param {number} lifespan */
const mailbox = (email, link, lifespan) => html`<h1>You have mail</h1>
<p>This is what would have arrived. Copy the link, open a private window or another browser,
and paste it there: it asks for one click, because mail filters open links, too. Or click it here;
this browser asked for the mail, and is asked nothing.</p>
<article class="mail">
<dl>
<dt>From</dt><dd>callgate demo</dd>
<dt>To</dt><dd>${email}</dd>
<dt>Subject</dt><dd>Please confirm your e-mail address</dd>
</dl>
<p>Hello,</p>
<p>follow this link to tell us that the address is yours:</p>
<p class="link"><a href="${link}" rel="noreferrer">${link}</a></p>
<p>It works once, for ${lifespan === 10 ? "10 seconds" : "15 minutes"}.</p>
</article>
<p>Then come back to this browser: <a href="mail">has it been validated?</a></p>`;

/** @param {string} email */
const congratulations = (email) => html`<p class="mark good">✓</p>
<h1>Congratulations</h1>
<p>Your email <b>${email}</b> has been validated.</p>
<p>The link brought this browser into the session that asked for it. See the name of the session
above: the browser in which you began shows the same one, and <a href="mail">its page</a> knows
what happened here. Open the link once more to see that it works only once.</p>
<p><a class="button" href="./">To the front page</a></p>`;
