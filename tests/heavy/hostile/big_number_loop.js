// expects: any
export default class BigNumberLoop {
  run() {
    let big = 3n;
    for (;;) big *= big;
  }
}
