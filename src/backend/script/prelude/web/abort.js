// `AbortController` and `AbortSignal`: how a class cancels a `fetch`.
import { callback } from "callgate/check";
import { console } from "callgate/console";
import { setTimeout } from "callgate/timers";

/** Aborts a signal; only for `AbortController`. */
let fire;

export class AbortSignal {
  #aborted = false;
  #reason;
  #actions = new Set();
  onabort = null;

  static {
    fire = (signal, reason) => signal.#fire(reason);
  }

  /** A signal that is already aborted. */
  static abort(reason) {
    const signal = new AbortSignal();
    fire(signal, reason);
    return signal;
  }

  /** A signal that aborts after the given milliseconds. */
  static timeout(millis) {
    const signal = new AbortSignal();
    const late = new DOMException(`${millis} ms have passed`, "TimeoutError");
    setTimeout(() => fire(signal, late), millis);
    return signal;
  }

  /** A signal that aborts with the first of others. */
  static any(signals) {
    const any = new AbortSignal();
    for (const signal of signals) {
      if (signal.aborted) fire(any, signal.reason);
      else signal.addEventListener("abort", () => fire(any, signal.reason));
    }
    return any;
  }

  get aborted() {
    return this.#aborted;
  }

  get reason() {
    return this.#reason;
  }

  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(kind, action) {
    if (kind === "abort") this.#actions.add(callback(action, "signal.addEventListener"));
  }

  removeEventListener(kind, action) {
    if (kind === "abort") this.#actions.delete(action);
  }

  #fire(reason = new DOMException("it was given up", "AbortError")) {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const actions = [...this.#actions, this.onabort].filter((action) => typeof action === "function");
    this.#actions.clear();
    for (const action of actions) {
      try {
        action.call(this, { type: "abort", target: this });
      } catch (error) {
        console.error("a listener for abort threw", error);
      }
    }
  }
}

export class AbortController {
  #signal = new AbortSignal();

  get signal() {
    return this.#signal;
  }

  abort(reason) {
    fire(this.#signal, reason);
  }
}
