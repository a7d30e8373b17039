// expects: abandoned
export default class ThenableNever {
  run() {
    return { then() {} };
  }
}
