// expects: stopped
export default class SpinInThenable {
  run() {
    return {
      then() {
        for (;;);
      },
    };
  }
}
