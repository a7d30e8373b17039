// expects: stopped
export default class SpinsInNewFunction {
  run() {
    return new Function("for (;;);")();
  }
}
