// Sign-in through an identity provider: the provider returns `state`, and the handler restores the
// session from it.

import { html } from "./lib/html.js";
import { SHOP, note, page, query, redirect, refused } from "./lib/page.js";

const BACK = { href: "signin", label: "Back to the sign-in page" };

export default class SignIn {
  /** @type {Handler} */
  show(request, session) {
    if (session.isGuest()) return page(session, SHOP, "Sign in", INVITATION);
    return page(session, SHOP, "Welcome", welcome(session.userName));
  }

  /**
   * Redirects the user to the provider. The token is the `state`, which every provider returns.
   *
   * @type {Handler}
   */
  async start(request, session) {
    try {
      // `sameBrowser` prevents login CSRF: an attacker cannot have this browser finish a sign-in
      // that the attacker started.
      const state = await session.createOTP({
        lifespan: 10 * 60,
        for: "SignIn.finish",
        confirm: "foreign",
      });
      const uri = session.publicURL("/oauth/callback");
      const asked = query({ client_id: "demo", redirect_uri: uri, state });
      return redirect(session, `/example-id?${asked}`);
    } catch (error) {
      if (error.code !== "tooManyTokens") throw error;
      const text = "You have begun 16 times and never finished. Wait ten minutes.";
      return note(session, { status: 429, title: "Enough attempts for now", text, wayOn: BACK });
    }
  }

  /**
   * Handles the redirect back from the provider.
   *
   * @type {Handler}
   */
  async finish(request, session) {
    const { state, code } = request.urlQuery;
    if (state === undefined) return redirect(session, "/signin");
    if (!(await session.restore(state))) return refused(session, session.restoreOutcome, BACK);

    // From here on `session` is the session that started the sign-in.
    const userName = exchange(code);
    if (!userName) {
      const text = "Example ID told us nothing about you. Your session is as it was.";
      return note(session, { title: "You are not signed in", text, wayOn: BACK });
    }
    // Gaining a privilege gives this browser a new credential and revokes all others.
    session.setPrivileges({ privileges: ["member"], userName });
    return redirect(session, "/signin");
  }

  /**
   * For members only; the row checks that, not this function.
   *
   * @type {Handler}
   */
  lounge(request, session) {
    const text = 'The row of this page says "requires": "member". Guests get 401 before any ' +
      "handler runs.";
    return note(session, { title: "The members’ lounge", text, wayOn: BACK });
  }
}

/**
 * Asks the provider for the user. A real code carries no name and is exchanged for one between the
 * servers, with fetch (RFC 6749 §4.1.3). The code of Example ID is the name itself.
 *
 * @param {string} [code]
 */
function exchange(code = "") {
  const name = code.replace(/\p{Cc}/gu, "").trim();
  return [...name].slice(0, 40).join("");
}

const INVITATION = html`<h1>Sign in</h1>
<p>Example ID knows you; we do not. We send you there with a token as <code>state</code>, and it
sends you back with the same one.</p>
<form method="post" action="signin"><button>Sign in with Example ID</button></form>
<p class="aside">Only members see <a href="lounge">the lounge</a>. Try it before you sign in.</p>`;

/** @param {string} name */
const welcome = (name) => html`<h1>Hello, ${name}</h1>
<p>You are signed in. The session is the one you left with; this browser has a fresh credential
for it, and nobody else is in it any more.</p>
<p><a class="button" href="lounge">To the members’ lounge</a></p>
<form method="post" action="leave"><button class="quiet">Sign out</button></form>`;
