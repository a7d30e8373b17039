// expects: raised
export default class RecursionInAsync {
  async down(depth) {
    return (await this.down(depth + 1)) + 1;
  }
  run() {
    return this.down(0);
  }
}
