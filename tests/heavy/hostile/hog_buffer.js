// expects: raised
export default class HogBuffer {
  run() {
    const buffers = [];
    for (;;) buffers.push(new ArrayBuffer(1 << 20));
  }
}
