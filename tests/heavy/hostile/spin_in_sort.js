// expects: stopped
export default class SpinInSort {
  run() {
    const list = Array.from({ length: 100 }, (_, at) => at);
    for (;;) list.sort(() => Math.random() - 0.5);
  }
}
