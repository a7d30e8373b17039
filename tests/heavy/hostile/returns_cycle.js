// expects: raised
export default class ReturnsCycle {
  run() {
    const cycle = {};
    cycle.cycle = cycle;
    return cycle;
  }
}
