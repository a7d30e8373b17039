// expects: raised
export default class RecursionInGetter {
  get deeper() {
    return this.deeper;
  }
  run() {
    return this.deeper;
  }
}
