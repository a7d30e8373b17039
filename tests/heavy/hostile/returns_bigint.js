// expects: raised
export default class ReturnsBigint {
  run() {
    return 10n;
  }
}
