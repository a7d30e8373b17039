// expects: stopped
export default class CatchesTheEnd {
  run() {
    for (;;) {
      try {
        for (;;);
      } catch {
        // Goes on.
      }
    }
  }
}
