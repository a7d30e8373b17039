// expects: raised
export default class RejectsWithNull {
  async run() {
    await null;
    throw null;
  }
}
