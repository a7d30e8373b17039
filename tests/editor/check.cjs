// Checks every class file of the tree, and the project that `callgate init` writes, with the
// TypeScript compiler, as an editor does while one types.
//
//   cargo build && npm --prefix tests/editor install && npm --prefix tests/editor test
//
// CALLGATE names the program (default target/debug/callgate). right.js and wrong.js hold the
// declarations themselves: what has to pass, and what must not.

const assert = require("node:assert/strict");
const { execFileSync, spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const COMPILER = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");

/** Checks what the jsconfig.json of a folder includes; how many class files that are. */
function check(name, folder) {
  const config = path.join(folder, "jsconfig.json");
  const list = execFileSync(process.execPath, [COMPILER, "--project", config, "--listFilesOnly"]);
  const files = list.toString().split("\n").filter((file) => file.endsWith(".js"));
  const { status, stdout } = spawnSync(process.execPath, [COMPILER, "--project", config]);
  assert.equal(status, 0, `${name}:\n${stdout}`);
  console.log(`${name}: ${files.length} class files, no problems`);
  return files.length;
}

const project = mkdtempSync(path.join(tmpdir(), "callgate-editor-"));
try {
  execFileSync(PROGRAM, ["init", project]);
  assert.equal(check("a new project", project), 1);
  assert.ok(check("the demonstration", ROOT) >= 9);
  assert.ok(check("right and wrong uses, scenarios", __dirname) >= 6);
} finally {
  rmSync(project, { recursive: true });
}
