// expects: abandoned
export default class PoisonsThen {
  async run() {
    Promise.prototype.then = function () { return this; };
    Promise.prototype.constructor = function () {};
    await new Promise(() => {});
  }
}
