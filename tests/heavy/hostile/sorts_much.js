// expects: any
export default class SortsMuch {
  run() {
    const list = Array.from({ length: 100000 }, (_, at) => `${at * 7919 % 100003}`);
    for (;;) list.sort();
  }
}
