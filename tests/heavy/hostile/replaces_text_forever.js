// expects: any
export default class ReplacesTextForever {
  run() {
    let text = "y".repeat(1 << 20);
    for (;;) text = text.replace(/y/g, "zz").replace(/zz/g, "y");
  }
}
