// expects: raised
export default class SpreadEndless {
  run() {
    const endless = { *[Symbol.iterator]() { for (;;) yield "x".padEnd(100); } };
    return [...endless].length;
  }
}
