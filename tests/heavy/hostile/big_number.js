// expects: any
export default class BigNumber {
  run() {
    return String(2n ** 10000000n).length;
  }
}
