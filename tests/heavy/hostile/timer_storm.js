// expects: raised at 4
export default class TimerStorm {
  async run() {
    for (;;) setTimeout(() => {}, 1);
  }
}
