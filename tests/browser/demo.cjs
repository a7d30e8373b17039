// Clicks through the shipped demonstration with two browsers, as a newcomer would.
//
//   cargo build && npm --prefix tests/browser install && npm --prefix tests/browser test
//
// CALLGATE names the program (default target/debug/callgate), CHROMIUM the browser (default
// /usr/bin/chromium), SHOTS a folder for pictures of every page in four ways (default: none).

const assert = require("node:assert/strict");
const { execFileSync, spawn } = require("node:child_process");
const { mkdirSync } = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const LOOKS = [["desktop", 1280, 900], ["phone", 390, 844]];

/** What the pages wanted and their own policy did not let them have. */
const blocked = [];

/** Starts the program on a free port; resolves with its address once it listens. */
function serve(...more) {
  const args = ["serve", "--store", "memory:", "--listen", "127.0.0.1:0", "--internal", "off"];
  args.push("--rate-limits", "off", ...more);
  const server = spawn(PROGRAM, args, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
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

/** A browser of its own: no cookie is shared with another. */
async function visitor(browser, origin) {
  const context = await browser.newContext({ baseURL: origin });
  const page = await context.newPage();
  // The style sheet is all a page may load; anything the policy blocks is a fault of the page.
  page.on("console", (line) => {
    if (/Content Security Policy/.test(line.text())) blocked.push(line.text());
  });
  return page;
}

/** Takes pictures of the page in both widths, light and dark. */
async function picture(page, name) {
  // Before its style sheet has arrived, a page may be wider.
  await page.waitForLoadState("load");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, `${name} is wider than its window`);
  for (const [look, width, height] of LOOKS) {
    await page.setViewportSize({ width, height });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} px too wide on a ${look}`);
    if (!process.env.SHOTS) continue;
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const file = path.join(process.env.SHOTS, `${name}-${look}-${colorScheme}.png`);
      await page.screenshot({ path: file, fullPage: true });
    }
  }
}

const heading = (page) => page.locator("h1").innerText();
const session = (page) => page.locator("header span").innerText();

async function mail(first, second) {
  await first.goto("/");
  await picture(first, "home");
  await first.click("text=A link in an e-mail");
  await picture(first, "mail-form");
  await first.fill("#email", "zoe@example.com");
  await first.click("text=Send me the link");
  await picture(first, "mailbox");
  const link = await first.locator(".link a").getAttribute("href");
  await first.click("text=has it been validated?");
  assert.equal(await heading(first), "Waiting for validation email");
  await picture(first, "mail-waiting");

  await second.goto("/");
  const before = await session(second);
  await second.goto(link);
  assert.equal(await heading(second), "One more click");
  await picture(second, "one-more-click");
  await second.click("text=Continue");
  assert.equal(await heading(second), "Congratulations");
  assert.equal(await session(second), await session(first));
  assert.notEqual(await session(second), before);
  await picture(second, "congratulations");
  await second.goto(link);
  assert.equal(await heading(second), "This link has been used");
  await picture(second, "link-used");

  await first.click("text=Look again");
  assert.equal(await heading(first), "Email validated");
  await picture(first, "mail-validated");
}

/** The browser that asked for the mail opens its link without being asked. */
async function ownMail(page) {
  await page.goto("/mail");
  await page.fill("#email", "max@example.com");
  await page.click("text=Send me the link");
  await page.locator(".link a").click();
  assert.equal(await heading(page), "Congratulations");
}

async function payment(page) {
  await page.goto("/");
  await page.click("text=A payment");
  await picture(page, "order");
  await page.click("text=Pay at the bank");
  await page.click("summary");
  await picture(page, "bank");
  await page.locator("button", { hasText: "Pay" }).click();
  assert.equal(await heading(page), "Paid");
  assert.equal(new URL(page.url()).search, "", "the token stays in no address");
  await picture(page, "order-paid");
  await page.goBack();
  await page.locator("button", { hasText: "Pay" }).click();
  assert.match(await page.locator("main").innerText(), /already recorded at \d\d:\d\d:\d\d UTC/);
  await picture(page, "paid-before");

  // The platform calls without a cookie, before the customer is back; then he comes as well.
  await page.goto("/order");
  await page.click("text=Order another seat");
  await page.click("summary");
  const line = await page.locator("pre").innerText();
  const told = execFileSync("sh", ["-c", line.replace("curl", "curl -sS -D-")]).toString();
  assert.match(told, /order 2 is paid/);
  assert.doesNotMatch(told, /set-cookie/i);
  await page.locator("button", { hasText: "Pay" }).click();
  assert.equal(await heading(page), "Nothing was paid twice");
  await page.click("text=Back to your order");
  assert.match(await page.locator("main").innerText(), /The server of the bank told us/);
  await picture(page, "paid-by-server");
}

/** `state` is for the browser that left: nobody has another one finish a sign-in of his own. */
async function stateElsewhere(first, second) {
  await first.goto("/signin");
  const before = await session(first);
  await first.click("text=Sign in with Example ID");
  const provider = first.url();
  await second.goto("/");
  assert.notEqual(await session(second), before);
  await second.goto(provider);
  await second.click("text=Continue");
  assert.equal(await heading(second), "Nobody knows this link");
  assert.notEqual(await session(second), before);
  await picture(second, "not-signed-in-elsewhere");
  await first.click("text=Continue");
  assert.equal(await heading(first), "Hello, Ada Lovelace");
  assert.equal(await session(first), before);
}

/** The pages below another path: whatever is clicked stays there. */
async function mounted(browser) {
  const { server, ready } = serve("--base-path", "/tools");
  try {
    const page = await visitor(browser, await ready);
    await page.goto("/tools/");
    await picture(page, "mounted");
    await page.click("text=A link in an e-mail");
    await page.click("text=Send me the link");
    await page.locator(".link a").click();
    assert.equal(await heading(page), "Congratulations");
    await page.click("text=To the front page");
    await page.click("text=A payment");
    await page.click("text=Pay at the bank");
    await page.locator("button", { hasText: "Pay" }).click();
    assert.equal(await heading(page), "Paid");
    await page.click("header a");
    await page.click("text=A sign-in");
    await page.click("text=Sign in with Example ID");
    await page.click("text=Continue");
    await page.click("text=To the members’ lounge");
    assert.equal(new URL(page.url()).pathname, "/tools/lounge");
  } finally {
    server.removeAllListeners("exit");
    server.kill("SIGTERM");
  }
}

async function signIn(page) {
  await page.goto("/lounge");
  await picture(page, "lounge-closed");
  await page.goto("/signin");
  await picture(page, "sign-in");
  const before = await session(page);
  await page.click("text=Sign in with Example ID");
  await picture(page, "example-id");
  await page.fill("#name", "Grace <b>Hopper</b>");
  await page.click("text=Continue");
  assert.equal(await heading(page), "Hello, Grace <b>Hopper</b>");
  assert.equal(await session(page), before);
  await picture(page, "signed-in");
  await page.click("text=To the members’ lounge");
  await picture(page, "lounge");
  await page.goto("/");
  await picture(page, "home-full");
  await page.goto("/signin");
  await page.click("text=Sign out");
  assert.notEqual(await session(page), before);

  await page.goto("/signin");
  await page.click("text=Sign in with Example ID");
  await page.click("text=Rather not");
  assert.equal(await heading(page), "You are not signed in");
  await picture(page, "not-signed-in");
}

async function main() {
  if (process.env.SHOTS) mkdirSync(process.env.SHOTS, { recursive: true });
  const { server, ready } = serve();
  let browser;
  try {
    const origin = await ready;
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    browser = await chromium.launch({ executablePath, args: FLAGS });
    const [first, second] = [await visitor(browser, origin), await visitor(browser, origin)];
    await mail(first, second);
    await ownMail(await visitor(browser, origin));
    await payment(first);
    await signIn(first);
    await stateElsewhere(await visitor(browser, origin), await visitor(browser, origin));
    await mounted(browser);
    // Who knows this machine by another name than the one in callback URLs gets through as well.
    const third = await visitor(browser, origin.replace("127.0.0.1", "localhost"));
    await third.goto("/order");
    await third.click("text=Pay at the bank");
    await third.locator("button", { hasText: "Pay" }).click();
    assert.equal(await heading(third), "Paid");
    assert.deepEqual(blocked.filter((text) => !text.includes("favicon")), []);
    console.log("three round trips, two browsers: all as promised");
  } finally {
    await browser?.close();
    server.removeAllListeners("exit");
    server.kill("SIGTERM");
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
