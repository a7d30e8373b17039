// expects: any
export default class PoisonsPrototypes {
  run() {
    const poison = () => { throw new Error("poisoned"); };
    for (const name of ["then", "catch", "finally"]) Promise.prototype[name] = poison;
    for (const name of Object.getOwnPropertyNames(Array.prototype)) Array.prototype[name] = poison;
    Object.defineProperty(Object.prototype, "status", { get: poison, set: poison });
    Object.defineProperty(Object.prototype, "0", { get: poison, set: poison });
    Object.defineProperty(Promise, Symbol.species, { get: poison });
    Function.prototype.call = Function.prototype.apply = poison;
    JSON.stringify = JSON.parse = poison;
    globalThis.Promise = globalThis.Map = globalThis.Error = poison;
    return { poisoned: true };
  }
}
