// expects: raised at 6
export default class ThrowsInTimer {
  run() {
    return new Promise(() => {
      setTimeout(() => {
        throw new Error("late");
      }, 1);
    });
  }
}
