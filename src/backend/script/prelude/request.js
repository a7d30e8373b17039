// request: one request, read-only. Nothing is copied into the isolate before it is asked for.

/** The class of `request`. */
export function requests(host) {
  return class IncomingMessage {
    #call;

    constructor(call) {
      this.#call = call;
    }

    get verb() {
      return host.verb(this.#call);
    }
  };
}
