// expects: refused
export default class LoadRecurses {
  copy = new LoadRecurses();
  run() {}
}
