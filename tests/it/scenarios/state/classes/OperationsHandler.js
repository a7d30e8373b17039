// The class OperationsHandler of "Scenario with `restore` function" (4D documentation, "Web
// sessions"): the third party hands the token back as `state`.

export default class OperationsHandler {
  /** @type {Handler} */
  async validate(request, session) {
    session.storage.operation = { amount: request.getJSON().amount, state: "sent" };

    // Generate OTP with session.createOTP()
    const otp = await session.createOTP();

    // Call the external platform giving the OTP, for example as a state parameter
    return `https://thirdPartSystem.com/validate?state=${otp}` +
      "&redirect_uri=https://acme.com/my4DApp/completeOperation";
  }

  /** @type {Handler} */
  async handleOperation(req, session) {
    // The state parameter is got from the received request (req.urlQuery.state)
    // The original session is retrieved by calling the restore() function
    const restored = await session.restore(req.urlQuery.state ?? "");

    // Session object refers to the session which generated the OTP
    if (restored) session.storage.operation.state = "complete";
    return { restored, operation: session.storage.operation ?? null };
  }
}
