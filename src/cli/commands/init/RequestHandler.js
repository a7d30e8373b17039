// Validates an e-mail address: the link leads back to the session that asked for it.
//
// One instance of this class answers everybody, many at a time. What belongs to a visitor goes
// into session.storage; `this` is shared by all, and lasts until this file changes.

import { OutgoingMessage } from "callgate";

const WAITING = "Waiting for validation email";

export default class RequestHandler {
  /**
   * Answers with the link. A real application mails it and shows it to nobody.
   *
   * @type {Handler}
   */
  async start(request, session) {
    const { email } = (await request.getForm()).fields;
    session.storage.status = { step: WAITING, email };
    // Good for one visit of one function, for 15 minutes. What was written above is stored
    // before this returns, because the link may be followed while this function still runs.
    const link = await session.createCallbackURL("/validateEmail", {
      lifespan: 15 * 60,
      for: "RequestHandler.validateEmail",
    });
    return new OutgoingMessage().setBody(`${link}\n`);
  }

  /**
   * Where the link leads. The token has been redeemed before this runs, and `session` is the one
   * that asked for the link, whichever browser this is.
   *
   * @type {Handler}
   */
  validateEmail(request, session) {
    const { status } = session.storage;
    if (request.otp.outcome !== "restored" || status?.step !== WAITING) {
      const text = `This link does not count: ${request.otp.outcome}.\n`;
      return new OutgoingMessage().setStatus(403).setBody(text);
    }
    status.step = "Email validated";
    return new OutgoingMessage().setBody(`Congratulations, ${status.email} is validated.\n`);
  }

  /**
   * What is no OutgoingMessage is sent as {"result": …}.
   *
   * @type {Handler}
   */
  show(request, session) {
    return session.storage.status ?? "nothing yet";
  }
}
