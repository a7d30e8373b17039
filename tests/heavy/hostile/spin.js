// expects: stopped at 3
export default class Spin {
  run() {
    for (;;);
  }
}
