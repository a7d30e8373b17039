// expects: stopped
export default class SpinInFinally {
  run() {
    for (;;) {
      try {
        for (;;);
      } finally {
        continue;
      }
    }
  }
}
