// expects: any
export default class DeletesTheWorld {
  run() {
    for (const name of Object.getOwnPropertyNames(globalThis)) delete globalThis[name];
    return "empty";
  }
}
