// expects: refused
await new Promise(() => {});
export default class LoadWaits {
  run() {}
}
