// expects: answer
export default class SpinAfterAnswer {
  run() {
    Promise.resolve().then(() => {
      for (;;);
    });
    return "done";
  }
}
