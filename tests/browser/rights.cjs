// Polls a handler that updates the session in one browser while another browser signs in to that
// session by a link: the one that is put out sees nothing of what the session becomes
// (docs/CONTRACT.md §5).
//
//   cargo build --examples && npm --prefix tests/browser install && node tests/browser/rights.cjs
//
// CALLGATE names the program (default target/debug/callgate); the probe server is taken from the
// folder examples beside it. CHROMIUM names the browser (default /usr/bin/chromium), CALLGATE_STORE
// the store (default memory:). CALLGATE_TEST_SIZE=full takes a thousand rounds instead of thirty.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const PROBE = path.join(path.dirname(PROGRAM), "examples/probe_server");
const STORE = process.env.CALLGATE_STORE ?? "memory:";
const ROUNDS = process.env.CALLGATE_TEST_SIZE === "full" ? 1000 : 30;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a probe server on a free port; resolves with it and its port. */
async function serve() {
  const env = { PATH: process.env.PATH, CALLGATE_LISTEN: "127.0.0.1:0", CALLGATE_INTERNAL: "off",
    CALLGATE_STORE: STORE, CALLGATE_RATE_LIMITS: "off", CALLGATE_LOG_FORMAT: "json" };
  const server = spawn(PROBE, { cwd: ROOT, env, stdio: ["ignore", "pipe", "ignore"] });
  const port = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (text) => {
      said += text;
      const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (found) resolve(Number(found));
    });
    server.on("exit", (code) => reject(new Error(`${PROBE} ended with ${code}`)));
  });
  server.removeAllListeners("exit");
  return { server, port };
}

/** Asks for a target of this page's own site; its status and text. */
const ask = (page, target) => page.evaluate(async (asked) => {
  const answer = await fetch(asked);
  return { status: answer.status, text: await answer.text() };
}, target);

/** Polls in both of two lanes until told to stop or put out; everything that was answered. */
const poll = (page) => page.evaluate(async () => {
  window.over = false;
  const lane = async () => {
    const seen = [];
    for (;;) {
      const last = window.over;
      const answer = await fetch("/act-at-once?do=update");
      seen.push({ status: answer.status, text: await answer.text() });
      if (last || answer.status === 409) return seen;
    }
  };
  return (await Promise.all([lane(), lane()])).flat();
});

async function round(browser, origin) {
  const [attacker, victim] = [await browser.newContext(), await browser.newContext()];
  try {
    const [there, here] = [await attacker.newPage(), await victim.newPage()];
    await there.goto(`${origin}/write?key=n&value=bait`);
    const link = (await ask(there, "/mint")).text;
    const polling = poll(there);
    await here.goto(`${origin}/share?$4DSID=${link}`);
    const signedIn = await ask(here, "/login?privileges=admin&user=Victim");
    assert.equal(signedIn.status, 200);
    assert.equal((await ask(here, "/write?key=n&value=secret")).status, 200);
    await there.evaluate(() => { window.over = true; });
    const seen = await polling;
    for (const { status, text } of seen) {
      assert.ok(!/Victim|secret|admin/.test(text), `the one that was put out was shown ${text}`);
      assert.ok(status === 200 || status === 409, `${status} ${text}`);
    }
    const kept = JSON.parse((await ask(here, "/whoami")).text);
    assert.equal(kept.storage.n, "secret");
    assert.equal(kept.user, "Victim");
    return seen.filter(({ status }) => status === 409).length;
  } finally {
    await attacker.close();
    await victim.close();
  }
}

async function main() {
  const { server, port } = await serve();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    let replaced = 0;
    for (let n = 0; n < ROUNDS; n += 1) replaced += await round(browser, `http://127.0.0.1:${port}`);
    console.log(`${ROUNDS} rounds on ${STORE.split(":")[0]}: nothing shown, ${replaced} polls put out under way`);
  } finally {
    await browser.close();
    server.kill();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
