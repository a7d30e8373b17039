// expects: raised at 4
export default class EndlessArray {
  run() {
    return new Array(2 ** 32 - 1).fill(0).length;
  }
}
