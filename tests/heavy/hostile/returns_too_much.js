// expects: raised
export default class ReturnsTooMuch {
  run() {
    return "x".repeat(2 << 20);
  }
}
