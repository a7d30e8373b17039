// expects: stopped at 4
export default class Regex {
  run() {
    return /^(a+)+$/.test("a".repeat(40) + "b");
  }
}
