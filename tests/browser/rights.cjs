// Polls a handler that updates the session in one browser while another browser signs in to that
// session by a link: the one that is put out sees nothing of what the session becomes
// (docs/CONTRACT.md §5).
//
//   cargo build --examples && npm --prefix tests/browser install && node tests/browser/rights.cjs
//
// CALLGATE names the program (default target/debug/callgate); the probe server is taken from the
// folder examples beside it. CHROMIUM names the browser (default /usr/bin/chromium), CALLGATE_STORE
// the store (default memory:). CALLGATE_NODES is how many nodes serve it, each request the next one
// (default 1; more need a store that nodes share). CALLGATE_TEST_SIZE=full takes a thousand rounds
// instead of thirty, CALLGATE_ROUNDS any number.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const PROBE = path.join(path.dirname(PROGRAM), "examples/probe_server");
const STORE = process.env.CALLGATE_STORE ?? "memory:";
const NODES = Number(process.env.CALLGATE_NODES ?? 1);
const ROUNDS = Number(process.env.CALLGATE_ROUNDS
  ?? (process.env.CALLGATE_TEST_SIZE === "full" ? 1000 : 30));
const KEY = randomBytes(32).toString("hex");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a probe server on a free port; resolves with it and its port. */
async function serve() {
  const env = { PATH: process.env.PATH, CALLGATE_LISTEN: "127.0.0.1:0", CALLGATE_INTERNAL: "off",
    CALLGATE_STORE: STORE, CALLGATE_RATE_LIMITS: "off", CALLGATE_LOG_FORMAT: "json", CALLGATE_KEYS: KEY };
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

/** Passes each request to the next of the nodes; resolves with the balancer and its port. */
async function balance(ports) {
  let turn = 0;
  const balancer = http.createServer((request, response) => {
    turn += 1;
    const { method, url, headers } = request;
    const node = http.request({ port: ports[turn % ports.length], method, path: url, headers },
      (from) => {
        response.writeHead(from.statusCode, from.rawHeaders);
        from.pipe(response);
      });
    node.on("error", () => response.destroy());
    request.pipe(node);
  });
  await new Promise((listening) => { balancer.listen(0, "127.0.0.1", listening); });
  return { balancer, port: balancer.address().port };
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
  const nodes = [];
  for (let n = 0; n < NODES; n += 1) nodes.push(await serve());
  const { balancer, port } = await balance(nodes.map((node) => node.port));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    let replaced = 0;
    for (let n = 0; n < ROUNDS; n += 1) replaced += await round(browser, `http://127.0.0.1:${port}`);
    console.log(`${ROUNDS} rounds, ${STORE.split(":")[0]}, nodes ${NODES}: nothing shown, ${replaced} polls put out under way`);
  } finally {
    await browser.close();
    balancer.close();
    for (const { server } of nodes) server.kill();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
