// expects: stopped
export default class SpinInStackOfError {
  run() {
    Error.prepareStackTrace = () => {
      for (;;);
    };
    throw new Error("look at my stack");
  }
}
