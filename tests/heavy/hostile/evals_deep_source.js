// expects: raised
export default class EvalsDeepSource {
  run() {
    return (0, eval)("(".repeat(200000) + ")".repeat(200000));
  }
}
