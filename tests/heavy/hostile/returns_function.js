// expects: raised
export default class ReturnsFunction {
  run() {
    return () => 1;
  }
}
