// expects: any
export default class HogOnThis {
  kept = [];
  run() {
    for (let turn = 0; turn < 40; turn += 1) this.kept.push(new Uint8Array(256 << 10).fill(1));
    return this.kept.length;
  }
}
