// expects: raised
export default class HogMap {
  run() {
    const map = new Map();
    for (let key = 0; ; key += 1) map.set(key, `${key}`.padEnd(4096));
  }
}
