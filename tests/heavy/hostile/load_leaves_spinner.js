// expects: refused
const spin = async () => { for (;;) await null; };
spin();
export default class LoadLeavesSpinner {
  run() {}
}
