// expects: raised at 4
export default class Recursion {
  run() {
    const down = (depth) => down(depth + 1) + 1;
    return down(0);
  }
}
