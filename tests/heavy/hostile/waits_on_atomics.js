// expects: raised
export default class WaitsOnAtomics {
  run() {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    return Atomics.wait(shared, 0, 0);
  }
}
