// expects: raised at 4
export default class HugeString {
  run() {
    return "x".repeat(2 ** 30).length;
  }
}
