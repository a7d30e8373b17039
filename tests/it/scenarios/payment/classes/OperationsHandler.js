// The class OperationsHandler of "Scenario with $4DSID" (4D documentation, "Web sessions"): an
// external platform calls back under the token.

export default class OperationsHandler {
  /** @type {Handler} */
  async validateOperation(request, session) {
    const { amount } = request.getJSON();
    session.storage.operation = { amount, state: "sent" };

    // Generate OTP with session.createOTP()
    const otp = await session.createOTP();

    // Call the external platform, give a callback URL containing a $4DSID parameter
    return `https://acme.com/my4DApp/completeOperation?$4DSID=${otp}`;
  }

  /** @type {Handler} */
  handleOperation(request, session) {
    // Session object refers to the session which generated the OTP
    if (request.otp.outcome === "restored") session.storage.operation.state = "complete";
    return session.storage.operation ?? null;
  }
}
