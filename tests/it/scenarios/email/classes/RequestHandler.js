// The class RequestHandler of "Example of email validation with $4DSID" (4D documentation, "Web
// sessions").

import { OutgoingMessage } from "callgate";

export default class RequestHandler {
  /** @type {Handler} */
  validateEmail(request, session) {
    const result = new OutgoingMessage();
    // The session which generated the OTP is retrieved
    // thanks to the $4DSID parameter given in the URL
    if (session.storage.status?.step === "Waiting for validation email") {
      result.setBody("Congratulations <br>" +
        `Your email ${session.storage.status.email} has been validated`);

      result.setHeader("Content-Type", "text/html");
      session.storage.status.step = "Email validated";
    } else {
      result.setBody("Invalid token");
    }
    return result;
  }
}
