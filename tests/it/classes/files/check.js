// What the class files of the tests say their expectations with.

export function equal(found, expected) {
  const [a, b] = [shown(found), shown(expected)];
  if (a !== b) throw new Error(`found ${a}, expected ${b}`);
}

function shown(value) {
  return value === undefined ? "undefined" : JSON.stringify(value);
}

/** That `action` raises an error of this name whose message contains `part`. */
export function raises(name, part, action) {
  try {
    action();
  } catch (error) {
    return check(error, name, part);
  }
  throw new Error(`nothing was raised; expected ${name}: …${part}…`);
}

/** The same of a promise. */
export async function rejects(name, part, promise) {
  try {
    await promise;
  } catch (error) {
    return check(error, name, part);
  }
  throw new Error(`nothing was rejected; expected ${name}: …${part}…`);
}

function check(error, name, part) {
  if (error.name !== name || !error.message.includes(part)) {
    throw new Error(`raised ${error.name}: ${error.message}; expected ${name}: …${part}…`);
  }
  return error;
}
