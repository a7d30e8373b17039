// expects: answer
export default class FreezesTheWorld {
  run() {
    for (const name of Object.getOwnPropertyNames(globalThis)) {
      const value = globalThis[name];
      if (value && (typeof value === "object" || typeof value === "function")) {
        Object.freeze(value);
        if (value.prototype) Object.freeze(value.prototype);
      }
    }
    Object.freeze(globalThis);
    return "frozen";
  }
}
