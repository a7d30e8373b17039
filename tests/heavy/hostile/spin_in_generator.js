// expects: stopped
export default class SpinInGenerator {
  *endless() {
    for (;;) yield 1;
  }
  run() {
    let sum = 0;
    for (const one of this.endless()) sum += one;
    return sum;
  }
}
