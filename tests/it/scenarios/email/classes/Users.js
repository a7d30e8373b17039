// The class Users of "Example of email validation with $4DSID" (4D documentation, "Web sessions").

export default class Users {
  // 4D has a table of users; here they live as long as the instance does.
  #saved = [];

  /** @type {Handler} */
  async create(request, session) {
    const user = request.getJSON(); // create a new user
    user.ID = this.#saved.push(user);

    // Store information in the session, including user creation status
    session.storage.status = {
      step: "Waiting for validation email",
      email: user.email,
      ID: user.ID,
    };

    // Generate an OTP corresponding to the session
    const token = await session.createOTP();

    // Return an URL with a $4DSID parameter
    return `https://my.server.com/tools/validateEmail?$4DSID=${token}`;
  }
}
