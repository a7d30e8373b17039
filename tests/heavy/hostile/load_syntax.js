// expects: refused at 4
export default class LoadSyntax {
  run() {
    return 1 +;
  }
}
