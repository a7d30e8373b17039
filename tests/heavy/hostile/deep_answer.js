// expects: raised
export default class DeepAnswer {
  run() {
    let deep = {};
    for (let turn = 0; turn < 20000; turn += 1) deep = { deep };
    return deep;
  }
}
