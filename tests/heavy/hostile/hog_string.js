// expects: raised
export default class HogString {
  run() {
    let text = "x";
    for (let turn = 0; turn < 30; turn += 1) text = (text + text).split("").join("");
    return text.length;
  }
}
