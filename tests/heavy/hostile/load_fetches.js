// expects: refused at 2
setTimeout(() => {}, 1);
export default class LoadFetches {
  run() {}
}
