// Timers: they live inside a request and end with it.

/** Puts the timers into the world of a class. */
export function timers(host, world) {
  const define = (name, value) =>
    Object.defineProperty(world, name, { value, writable: true, configurable: true });
  define("setTimeout", (run, delay = 0, ...rest) => host.setTimeout(delay, () => run(...rest)));
  define("clearTimeout", (timer) => host.clearTimeout(timer));
}
