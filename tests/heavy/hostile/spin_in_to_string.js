// expects: stopped at 4
export default class SpinInToString {
  run() {
    return `${{ toString() { for (;;); } }}`;
  }
}
