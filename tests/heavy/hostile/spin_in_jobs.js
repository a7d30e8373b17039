// expects: stopped
export default class SpinInJobs {
  async run() {
    for (;;) await null;
  }
}
