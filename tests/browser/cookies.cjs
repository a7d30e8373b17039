// Signs in with a real browser while other requests of the same page are under way, and among many
// cookies: whatever arrives last, the browser stays signed in (docs/CONTRACT.md §5).
//
//   cargo build --examples && npm --prefix tests/browser install && node tests/browser/cookies.cjs
//
// CALLGATE names the program (default target/debug/callgate); the probe server is taken from the
// folder examples beside it. CHROMIUM names the browser (default /usr/bin/chromium).
// CALLGATE_TEST_SIZE=full signs in a thousand times on each scene instead of forty.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const PROBE = path.join(path.dirname(PROGRAM), "examples/probe_server");
const ROUNDS = process.env.CALLGATE_TEST_SIZE === "full" ? 1000 : 40;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a probe server on a free port; resolves with it and its port. */
async function serve() {
  const env = { PATH: process.env.PATH, CALLGATE_LISTEN: "127.0.0.1:0", CALLGATE_INTERNAL: "off",
    CALLGATE_STORE: "memory:", CALLGATE_RATE_LIMITS: "off", CALLGATE_LOG_FORMAT: "json" };
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

/** What the page does at once in each scene; `stored` says whether the guest has written before. */
const SCENES = {
  "a sign-in with two writes": { stored: true, others: ["/write?key=a&value=1", "/write?key=b&value=2"] },
  "the same of a guest of whom nothing is stored": { stored: false,
    others: ["/write?key=a&value=1", "/write?key=b&value=2"] },
  "a sign-in with a mint and an update": { stored: true, others: ["/mint", "/add?key=n"] },
};

/** How many of the rounds end with a browser that is not signed in. */
async function signedOut(browser, origin, { stored, others }) {
  const context = await browser.newContext();
  const page = await context.newPage();
  let out = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await context.clearCookies();
    await page.goto(`${origin}/whoami`);
    if (stored) await page.evaluate(() => fetch("/write?key=first&value=1").then((answer) => answer.text()));
    await page.evaluate((targets) => Promise.all(targets.map((target) => fetch(target)
      .then((answer) => answer.text()))), ["/login?privileges=admin&user=Ann", ...others]);
    const status = await page.evaluate(() => fetch("/admin").then((answer) => answer.status));
    if (status !== 200) out += 1;
  }
  await context.close();
  return out;
}

/** Signs in, adds so many cookies of the application, and looks again. */
async function amongMany(browser, origin, count) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${origin}/login?privileges=admin&user=Ann`);
  await page.evaluate((last) => {
    for (let n = 0; n < last; n += 1) document.cookie = `app_${n}=${"v".repeat(60)}; path=/`;
  }, count);
  const seen = await page.evaluate(() => fetch("/admin").then((answer) => answer.status));
  const held = (await context.cookies()).length;
  await context.close();
  return { seen, held };
}

async function main() {
  const { server, port } = await serve();
  const origin = `http://127.0.0.1:${port}`;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    for (const [name, scene] of Object.entries(SCENES)) {
      const out = await signedOut(browser, origin, scene);
      console.log(`${name}: ${out} of ${ROUNDS} signed out`);
      assert.equal(out, 0, name);
    }
    const { seen, held } = await amongMany(browser, origin, 150);
    console.log(`among ${held} cookies: ${seen}`);
    assert.equal(seen, 200);
    assert.ok(held > 100, `the browser keeps ${held} cookies only`);
  } finally {
    await browser.close();
    server.kill();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
