// expects: refused at 3
export default class LoadSpinsInConstructor {
  constructor() {
    for (;;);
  }
  run() {}
}
