// expects: abandoned
export default class NeverSettles {
  run() {
    return new Promise(() => {});
  }
}
