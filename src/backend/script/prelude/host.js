// The host functions. Only callgate's own modules can import this one.

export let host;

export function connect(functions) {
  host = functions;
}
