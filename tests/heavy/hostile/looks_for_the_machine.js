// expects: answer
export default class LooksForTheMachine {
  run() {
    const names = ["process", "require", "Deno", "Bun", "std", "os", "module", "scriptArgs",
      "load", "loadScript", "print", "gc", "host", "Worker", "WebAssembly"];
    const found = names.filter((name) => name in globalThis);
    if (found.length > 0) throw new Error(`found ${found}`);
    return "done";
  }
}
