// expects: any
export default class ResolvesHostileThenableWhenFull {
  async run() {
    const held = [];
    try {
      for (let size = 1 << 20; ; size >>= 1) {
        if (size < 1) size = 1;
        try {
          for (;;) held.push(new ArrayBuffer(size));
        } catch (full) {
          if (size <= 16) throw full;
        }
      }
    } catch {
      return { then(done) { done({ then(done) { done(held.length); } }); } };
    }
  }
}
