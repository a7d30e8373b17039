// expects: abandoned
export default class WaitsTooLong {
  async run() {
    await new Promise((done) => setTimeout(done, 3600_000));
  }
}
