// expects: stopped at 4
export default class SpinInToJson {
  run() {
    return { toJSON() { for (;;); } };
  }
}
