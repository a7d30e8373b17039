// expects: stopped
export default class ManySpinners {
  async run() {
    const spin = async () => {
      for (;;) await null;
    };
    await Promise.all(Array.from({ length: 1000 }, spin));
  }
}
