// expects: refused at 2
throw new Error("at the top");
export default class LoadThrows {
  run() {}
}
