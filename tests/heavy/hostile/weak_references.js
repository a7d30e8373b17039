// expects: any
export default class WeakReferences {
  run() {
    const registry = new FinalizationRegistry(() => { for (;;); });
    for (let at = 0; at < 1000; at += 1) registry.register({ at }, at);
    return new WeakRef({}).deref() === undefined;
  }
}
