// expects: any
export default class ThrowsHostileError {
  run() {
    const error = new Error("outside");
    for (const name of ["name", "message", "stack"]) {
      Object.defineProperty(error, name, { get() { for (;;); } });
    }
    throw error;
  }
}
