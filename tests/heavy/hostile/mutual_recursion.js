// expects: raised
export default class MutualRecursion {
  one(depth) { return this.two(depth + 1) + 1; }
  two(depth) { return this.one(depth + 1) + 1; }
  run() { return this.one(0); }
}
