// expects: refused at 1
for (;;);
export default class LoadSpins {
  run() {}
}
