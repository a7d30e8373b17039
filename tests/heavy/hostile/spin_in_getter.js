// expects: stopped at 5
export default class SpinInGetter {
  run() {
    return {
      get trap() { for (;;); },
    };
  }
}
