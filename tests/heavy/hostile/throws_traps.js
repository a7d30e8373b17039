// expects: raised
export default class ThrowsTraps {
  run() {
    const trap = { get() { throw new Error("trap"); } };
    throw new Proxy(new Error("inside"), trap);
  }
}
