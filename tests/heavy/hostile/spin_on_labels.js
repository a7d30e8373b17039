// expects: stopped
export default class SpinOnLabels {
  run() {
    outer: for (;;) {
      for (let turn = 0; ; turn += 1) if (turn > 10) continue outer;
    }
  }
}
