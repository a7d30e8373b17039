// expects: stopped
export default class HogAndCatch {
  run() {
    for (;;) {
      try {
        const list = [];
        for (;;) list.push(new ArrayBuffer(1 << 20));
      } catch {
        // Tries again.
      }
    }
  }
}
