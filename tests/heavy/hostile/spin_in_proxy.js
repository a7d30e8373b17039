// expects: stopped at 5
export default class SpinInProxy {
  run() {
    return new Proxy({}, {
      get() { for (;;); },
      ownKeys() { for (;;); },
    });
  }
}
