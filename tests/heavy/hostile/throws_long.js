// expects: raised
export default class ThrowsLong {
  run() {
    throw new Error("x".repeat(1 << 20));
  }
}
