// expects: any
export default class JsonBomb {
  run() {
    let bomb = "x";
    for (let turn = 0; turn < 25; turn += 1) bomb = [bomb, bomb];
    return bomb;
  }
}
