// expects: stopped
export default class SpinsInEval {
  run() {
    return (0, eval)("for (;;);");
  }
}
