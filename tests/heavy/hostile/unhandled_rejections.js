// expects: answer
export default class UnhandledRejections {
  run() {
    for (let at = 0; at < 1000; at += 1) Promise.reject(new Error(`${at}`));
    return "done";
  }
}
