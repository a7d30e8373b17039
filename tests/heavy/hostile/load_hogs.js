// expects: refused at 3
const list = [];
for (;;) list.push(new Array(1000).fill(7));
export default class LoadHogs {
  run() {}
}
