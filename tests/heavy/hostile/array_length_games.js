// expects: any
export default class ArrayLengthGames {
  run() {
    const list = [];
    list.length = 2 ** 32 - 1;
    return list.join("x").length;
  }
}
