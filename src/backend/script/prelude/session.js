// session: the session of one request.

/** The class of `session`. */
export function sessions(host) {
  return class Session {
    #call;

    constructor(call) {
      this.#call = call;
    }

    get id() {
      return host.sessionId(this.#call);
    }

    createOTP() {
      return host.createOTP(this.#call);
    }
  };
}
