// expects: raised
export default class ReturnsClass {
  run() {
    return ReturnsClass;
  }
}
