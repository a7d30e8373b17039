// expects: stopped at 4
export default class SpinInAsync {
  async run() {
    await null;
    while (true);
  }
}
