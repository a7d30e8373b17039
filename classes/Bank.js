// A simulated payment page: it knows an amount and a callback URL, and no session.

import { OutgoingMessage } from "callgate";
import { html } from "./lib/html.js";
import { BANK, note, page } from "./lib/page.js";

export default class Bank {
  /** @type {Handler} */
  show(request, session) {
    const { amount = "nothing", return: callback } = request.urlQuery;
    if (!isKnown(session, callback)) return unknown(session);
    return page(session, BANK, "Pay", paymentForm(amount, callback));
  }

  /** @type {Handler} */
  async pay(request, session) {
    const { return: callback } = (await request.getForm()).fields;
    if (!isKnown(session, callback)) return unknown(session);
    return OutgoingMessage.redirect(callback);
  }
}

/**
 * Whether this is the callback URL that the shop registered. A bank that redirects to any URL is an
 * open redirect (CWE-601).
 *
 * The page also shows the URL in a shell command, so it must not contain characters that a shell
 * interprets.
 *
 * @param {Session} session
 * @param {unknown} url
 * @returns {url is string}
 */
function isKnown(session, url) {
  const registered = session.publicURL("/order/paid?");
  return typeof url === "string" && url.startsWith(registered) &&
    /^[A-Za-z0-9=&%]*$/.test(url.slice(registered.length));
}

/** @param {Session} session */
function unknown(session) {
  return note(session, {
    site: BANK,
    status: 400,
    title: "We cannot take this payment",
    text: "The shop that sent you here has not registered the address to return to.",
    wayOn: { href: "order", label: "Back to the shop" },
  });
}

/** @param {string} amount @param {string} callback */
const paymentForm = (amount, callback) => html`<h1>Pay ${amount}</h1>
<p>A shop has sent you here. We do not know who you are there, and do not need to: it gave us an
address to call when you have paid.</p>
<form method="post" action="bank" class="panel">
<input type="hidden" name="return" value="${callback}">
<p class="total"><span>To the shop</span><b>${amount}</b></p>
<button>Pay</button>
</form>
<details>
<summary>Or let the server of the bank tell the shop</summary>
<p>Most banks call from a server of theirs, which has no cookie and is given none. Play that
server: paste this into a terminal, then look at your order.</p>
<pre>curl '${callback}'</pre>
<p><a href="order">Look at the order</a></p>
</details>`;
