// expects: raised
export default class HogArray {
  run() {
    const list = [];
    for (;;) list.push(new Array(1000).fill(7));
  }
}
