// A simulated identity provider: it asks for a name and returns a code with the `state`.

import { OutgoingMessage } from "callgate";
import { html } from "./lib/html.js";
import { EXAMPLE_ID, note, page, query } from "./lib/page.js";

export default class ExampleId {
  /** @type {Handler} */
  show(request, session) {
    const { redirect_uri: uri, state = "" } = request.urlQuery;
    if (!isRegistered(session, uri)) return unknown(session);
    return page(session, EXAMPLE_ID, "Sign in", question(uri, state));
  }

  /** @type {Handler} */
  async answer(request, session) {
    const { fields } = await request.getForm();
    const { redirect_uri: uri, state, decision, name } = fields;
    if (!isRegistered(session, uri)) return unknown(session);
    const said = decision === "yes" ? { code: name } : { error: "access_denied" };
    return OutgoingMessage.redirect(`${uri}?${query({ ...said, state })}`);
  }
}

/**
 * Whether the client has registered this URL. It must be identical, or the code could be sent to
 * another site (RFC 6749 §10.6).
 *
 * @param {Session} session
 * @param {unknown} uri
 * @returns {uri is string}
 */
function isRegistered(session, uri) {
  return uri === session.publicURL("/oauth/callback");
}

/** @param {Session} session */
function unknown(session) {
  return note(session, {
    site: EXAMPLE_ID,
    status: 400,
    title: "We do not know this client",
    text: "The site that sent you here has not registered the address to return to.",
    wayOn: { href: "signin", label: "Back to the shop" },
  });
}

/** @param {string} uri @param {string} state */
const question = (uri, state) => html`<h1>Who are you?</h1>
<p>A site wants to know. We tell it your name if you agree, and nothing else.</p>
<form method="post" action="example-id" class="panel">
<input type="hidden" name="redirect_uri" value="${uri}">
<input type="hidden" name="state" value="${state}">
<label for="name">Your name</label>
<input id="name" name="name" value="Ada Lovelace" required maxlength="40" autocomplete="off">
<p class="buttons"><button name="decision" value="yes">Continue</button>
<button name="decision" value="no" class="quiet" formnovalidate>Rather not</button></p>
</form>`;
