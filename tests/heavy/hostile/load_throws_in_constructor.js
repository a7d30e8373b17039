// expects: refused at 4
export default class LoadThrowsInConstructor {
  constructor() {
    throw new Error("in the constructor");
  }
  run() {}
}
