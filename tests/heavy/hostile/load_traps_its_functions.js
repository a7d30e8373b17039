// expects: refused
export default class LoadTrapsItsFunctions {
  constructor() {
    return new Proxy(this, { ownKeys() { for (;;); }, getPrototypeOf() { for (;;); } });
  }
}
