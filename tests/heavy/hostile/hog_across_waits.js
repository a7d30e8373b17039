// expects: stopped
export default class HogAcrossWaits {
  async run() {
    const held = [];
    for (;;) {
      held.push(new Uint8Array(256 << 10).fill(1));
      await new Promise((done) => setTimeout(done, 1));
    }
  }
}
