// An order that is paid on another site: the payment page calls back with a token, through the
// customer's browser or from its own server.

import { OutgoingMessage } from "callgate";
import { html } from "./lib/html.js";
import { SHOP, note, page, query, readsHtml, redirect, refused, timeOfDay } from "./lib/page.js";

// Session data of the last order: storage.order = { number, state }, where state is "open" or one
// of these.
/** @type {Record<string, string>} */
const HOW_WE_KNOW = {
  paidThroughBrowser: "Your browser came back with the news.",
  paidByServer: "The server of the bank told us.",
};

const PRICE = "42.00 EUR";
const BACK = { href: "order", label: "Back to your order" };

export default class Shop {
  /** @type {Handler} */
  show(request, session) {
    const { number, state } = session.storage.order ?? { number: 1, state: "open" };
    if (state === "open") return page(session, SHOP, "A seat to the Moon", offer(number));
    return page(session, SHOP, "Paid", receipt(number, HOW_WE_KNOW[state]));
  }

  /**
   * Creates an order and redirects the customer to the bank, with the callback URL.
   *
   * @type {Handler}
   */
  async checkOut(request, session) {
    const { number, state } = session.storage.order ?? { number: 0, state: "none" };
    const order = { number: state === "open" ? number : number + 1, state: "open" };
    session.storage.order = order;
    try {
      const callback = await session.createCallbackURL(`/order/paid?order=${order.number}`, {
        lifespan: 15 * 60,
        for: "Shop.paid",
      });
      return redirect(session, `/bank?${query({ amount: PRICE, return: callback })}`);
    } catch (error) {
      if (error.code !== "tooManyTokens") throw error;
      const text = "You have been at the bank 16 times without paying. Wait a quarter of an hour.";
      return note(session, { status: 429, title: "Enough visits for now", text, wayOn: BACK });
    }
  }

  /**
   * Handles the bank's callback. The token proves that the caller was given the URL. A real shop
   * also checks with the bank, with fetch, that the payment was made.
   *
   * @type {Handler}
   */
  paid(request, session) {
    switch (request.otp.outcome) {
      case "restored":
        break;
      // A bank that did not receive the response retries, and must get a success again.
      case "used": {
        const at = timeOfDay(request.otp.usedAt);
        return already(request, session, `This payment was already recorded at ${at}.`);
      }
      case "absent":
        return redirect(session, "/order");
      default:
        return refused(session, request.otp, BACK);
    }

    const { order } = session.storage;
    if (order?.state !== "open" || request.urlQuery.order !== String(order.number)) {
      return already(request, session, "This order was paid before, from another page.");
    }
    order.state = readsHtml(request) ? "paidThroughBrowser" : "paidByServer";
    // Redirects to a URL without a token, which can be reloaded and shared.
    if (readsHtml(request)) return redirect(session, "/order");
    return new OutgoingMessage().setBody(`order ${order.number} is paid: ${PRICE}\n`);
  }
}

/**
 * The response to a repeated callback: nothing was changed this time.
 *
 * @param {IncomingMessage} request
 * @param {Session} session
 * @param {string} text
 */
function already(request, session, text) {
  if (!readsHtml(request)) return new OutgoingMessage().setBody(`${text}\n`);
  return note(session, { title: "Nothing was paid twice", text, wayOn: BACK });
}

/** @param {number} number */
const offer = (number) => html`<h1>A seat to the Moon</h1>
<p>One way, window seat, luggage included. You pay at a bank, which is another site and knows
nothing of your session. All it gets is an address to call.</p>
<form method="post" action="order" class="panel">
<p class="total"><span>Order ${number}</span><b>${PRICE}</b></p>
<button>Pay at the bank</button>
</form>`;

/** @param {number} number @param {string} how */
const receipt = (number, how) => html`<p class="mark good">✓</p>
<h1>Paid</h1>
<p>Order ${number} is paid: ${PRICE}. ${how}</p>
<p>Go back to the page of the bank and pay once more, to see that nothing is paid twice.</p>
<p><a class="button" href="./">To the front page</a></p>
<form method="post" action="order"><button class="quiet">Order another seat</button></form>`;
