// expects: stopped at 5
export default class SpinInTimer {
  run() {
    return new Promise(() => {
      setTimeout(() => {
        for (;;);
      }, 1);
    });
  }
}
