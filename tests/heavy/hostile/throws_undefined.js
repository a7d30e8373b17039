// expects: raised
export default class ThrowsUndefined {
  run() {
    throw undefined;
  }
}
