// Signs a salesperson in with the form of examples/crm, as the 4D documentation describes it.
//
//   cargo build && npm --prefix tests/browser install && node tests/browser/crm.cjs
//
// CALLGATE names the program (default target/debug/callgate), CHROMIUM the browser.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = path.resolve(process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate"));
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts the program on a free port; resolves with its address once it listens. */
function serve() {
  const args = ["serve", "--store", "memory:", "--listen", "127.0.0.1:0", "--internal", "off"];
  const cwd = path.join(ROOT, "examples/crm");
  const server = spawn(PROGRAM, args, { cwd, stdio: ["ignore", "pipe", "ignore"] });
  const ready = new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (text) => {
      said += text;
      const address = /listening on (http:\/\/\S+)/.exec(said)?.[1];
      if (address) resolve(address);
    });
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`${PROGRAM} ended with ${code}`)));
  });
  return { server, ready };
}

/** The form, a wrong password, the right one, and the page that was asked for at first. */
async function salesPerson(page) {
  await page.goto("/authenticationOK.shtml?week=12");
  assert.equal(new URL(page.url()).pathname, "/authenticate.shtml");
  await page.fill("#userId", "7");
  await page.fill("#password", "let me in");
  await page.click("text=Log In");
  assert.match(await page.locator("body").innerText(), /This userId or password is wrong/);
  await page.goBack();
  await page.fill("#userId", "7");
  await page.fill("#password", "let me sell");
  await page.click("text=Log In");
  const { pathname, search } = new URL(page.url());
  assert.equal(pathname + search, "/authenticationOK.shtml?week=12");
  assert.equal(await page.locator("h1").innerText(), "Hello, Anna Keller");
  const best = await page.locator("ol li").allInnerTexts();
  assert.deepEqual(best, ["Dunes Hotel: 133700", "Aguada Foods: 91200", "Corner Shop: 40050"]);
}

/** A page of this site calls a function with fetch. */
async function ownPage(page) {
  const best = await page.evaluate(() =>
    fetch("/rest/$catalog/top", { method: "POST", body: "[1]" }).then((answer) => answer.json()));
  assert.deepEqual(best, { result: [{ name: "Dunes Hotel", totalPurchase: 133700 }] });
}

/** The form of a page of another site calls none. */
async function otherSite(page, origin) {
  const other = origin.replace("127.0.0.1", "localhost");
  await page.route(`${other}/evil`, (route) => route.fulfill({
    contentType: "text/html",
    body: `<form method="post" action="${origin}/rest/$catalog/top" enctype="text/plain">
<input name='["a' value='"]'><button>Win a prize</button></form>`,
  }));
  await page.goto(`${other}/evil`);
  const answered = page.waitForResponse((response) => response.url().includes("/rest/"));
  await page.click("text=Win a prize");
  assert.equal((await answered).status(), 403);
}

async function main() {
  const { server, ready } = serve();
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const origin = await ready;
    const context = await browser.newContext({ baseURL: origin });
    const page = await context.newPage();
    await salesPerson(page);
    await ownPage(page);
    await otherSite(await context.newPage(), origin);
    await page.click("text=Sign out");
    assert.equal(new URL(page.url()).pathname, "/authenticate.shtml");
    await page.goto("/authenticationOK.shtml");
    assert.equal(new URL(page.url()).pathname, "/authenticate.shtml");
    console.log("crm: a salesperson signed in, came back, and signed out");
  } finally {
    await browser.close();
    server.kill();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
