// expects: any
export default class ReplacesItself {
  run() {
    this.run = 7;
    return "done";
  }
}
