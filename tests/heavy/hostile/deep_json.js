// expects: raised
export default class DeepJson {
  run() {
    return JSON.parse("[".repeat(100000) + "]".repeat(100000));
  }
}
