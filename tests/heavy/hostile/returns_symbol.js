// expects: raised
export default class ReturnsSymbol {
  run() {
    return Symbol("x");
  }
}
