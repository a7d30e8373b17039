// expects: any
export default class PromiseStorm {
  async run() {
    for (;;) {
      const storm = Array.from({ length: 1000 }, () => Promise.resolve().then(() => 1));
      await Promise.all(storm);
    }
  }
}
