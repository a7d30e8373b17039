// Opens links as scanners, attackers and people do, with real browsers (docs/SECURITY.md T04, T13,
// T14, T21, T24, T30).
//
//   cargo build --examples && npm --prefix tests/browser install && node tests/browser/links.cjs
//
// CALLGATE names the program (default target/debug/callgate); the probe server is taken from the
// folder examples beside it. CHROMIUM names the browser (default /usr/bin/chromium), SHOTS a folder
// for pictures of the page that asks (default: none). CALLGATE_TEST_SIZE=full waits 3 minutes, too,
// before it comes back from another site.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { mkdirSync } = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { setTimeout: pause } = require("node:timers/promises");
const { chromium } = require("playwright-core");

const ROOT = path.resolve(__dirname, "../..");
const PROGRAM = process.env.CALLGATE ?? path.join(ROOT, "target/debug/callgate");
const PROBE = path.join(path.dirname(PROGRAM), "examples/probe_server");
// Browsers say Sec-Fetch-Site to localhost and its subdomains, which they trust, and not to
// plain-text hosts such as a.test. Each of these names is a site of its own.
const HOSTS = ["a.localhost", "a.test"];
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.localhost 127.0.0.1"];
const BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";

/** Starts a probe server on a free port; resolves with its port and what it logs. */
async function serve(settings = {}) {
  const env = { PATH: process.env.PATH, CALLGATE_LISTEN: "127.0.0.1:0", CALLGATE_INTERNAL: "off",
    CALLGATE_STORE: "memory:", CALLGATE_RATE_LIMITS: "off", CALLGATE_LOG_FORMAT: "json", ...settings };
  const server = spawn(PROBE, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const gate = { server, log: "" };
  server.stderr.on("data", (text) => { gate.log += text; });
  gate.port = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (text) => {
      said += text;
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port) resolve(Number(port));
    });
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`${PROBE} ended with ${code}: ${gate.log}`)));
  });
  server.removeAllListeners("exit");
  return gate;
}

/** Somebody else's site: serves what a test puts there, and remembers who asked for what. */
async function elsewhere() {
  const site = { pages: new Map(), asked: [] };
  const server = http.createServer((request, response) => {
    const text = `${request.method} ${request.url} ${JSON.stringify(request.headers)}`;
    site.asked.push(text);
    const page = site.pages.get(request.url.split("?")[0]) ?? "";
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  site.port = server.address().port;
  site.close = () => { server.closeAllConnections(); server.close(); };
  return site;
}

/** A request as a program makes it, with these headers and no others. */
function ask(gate, method, target, { headers = {}, from, body } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: gate.port, method, path: target, headers,
      localAddress: from, agent: false };
    const request = http.request(options, (response) => {
      let text = "";
      response.on("data", (part) => { text += part; });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on("error", reject).end(body);
  });
}

/** A session by somebody without a browser: its id, and a token of it. */
async function minted(gate, wish = "") {
  const first = await ask(gate, "GET", "/write?key=cart&value=3");
  const cookie = first.headers["set-cookie"].map((text) => text.split(";")[0]).join("; ");
  const token = (await ask(gate, "GET", `/mint?${wish}`, { headers: { cookie } })).text;
  assert.match(token, /^[0-9A-F]{32}$/);
  return { id: JSON.parse(first.text).result, token, cookie };
}

/** How many tokens can still be redeemed, by the store's own list. */
const unspent = async (gate) => JSON.parse((await ask(gate, "GET", "/control/census")).text).result.tokens;

const heading = (page) => page.locator("h1").innerText();

/** A browser of its own opens the link and presses the button; the answer to the click. */
async function click(page, link) {
  await page.goto(link);
  assert.equal(await heading(page), "One more click");
  return press(page);
}

/** Presses the button of the page that asks. */
async function press(page) {
  const form = (response) => response.request().method() === "POST";
  const [answer] = await Promise.all([page.waitForResponse(form), page.click("button")]);
  await page.waitForLoadState();
  return answer;
}

async function inContext(browser, use, options = {}) {
  const context = await browser.newContext(options);
  try {
    return await use(await context.newPage(), context);
  } finally {
    await context.close();
  }
}

/** Serves a page of the gate's own origin that the gate does not have. */
async function ownPage(page, origin, html) {
  await page.route(`${origin}/made-up`, (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(`${origin}/made-up`);
}

/** Waits until the server has logged so many requests of a path. */
async function logged(gate, wanted, count) {
  for (let tries = 0; tries < 100; tries += 1) {
    const lines = gate.log.split("\n").filter((line) => line.includes(`"path":"${wanted}"`));
    if (lines.length >= count) return;
    await pause(100);
  }
  assert.fail(`the server has not seen ${count} requests of ${wanted}`);
}

/** What opens links without anybody meaning it (docs/SECURITY.md T13). */
function scanners(gate, browser, origin, other) {
  const get = (target, options) => ask(gate, "GET", target, options);
  const html = { accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "accept-language": "en" };
  return {
    "HEAD": (target) => ask(gate, "HEAD", target, { headers: { "user-agent": BROWSER, ...html } }),
    "GET without cookies and Accept": (target) => get(target),
    "GET with a browser's name": (target) => get(target, { headers: { "user-agent": BROWSER, ...html } }),
    "two GETs 50 ms apart": async (target) => {
      const first = get(target, { headers: html });
      await pause(50);
      await Promise.all([first, get(target, { headers: html })]);
    },
    "GET from three addresses": (target) => Promise.all(["127.0.0.2", "127.0.0.3", "127.0.0.4"]
      .map((from) => get(target, { from, headers: { "user-agent": BROWSER, ...html } }))),
    "OPTIONS": (target) => ask(gate, "OPTIONS", target),
    "Sec-Purpose: prefetch": (target) => get(target, { headers: { "sec-purpose": "prefetch", ...html } }),
    "prefetch by a real browser": (target) => inContext(browser, async (page) => {
      const rules = JSON.stringify({ prefetch: [{ urls: [target], eagerness: "immediate" }],
        prerender: [{ urls: [`${target}&again=1`], eagerness: "immediate" }] });
      const before = gate.log.split(`"path":"/foreign"`).length;
      await ownPage(page, origin, `<link rel="prefetch" href="${target}">
        <script type="speculationrules">${rules}</script><a href="${target}">a link</a>`);
      await logged(gate, "/foreign", before);
      await pause(500);
    }),
    "preview bot": (target) => get(target, { headers: { ...html,
      "user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)" } }),
    "headless browser that waits 10 s": (target) => inContext(browser, async (page) => {
      await page.goto(origin + target);
      await pause(10_000);
    }),
    "fetch() by scripts": (target) => inContext(browser, async (page) => {
      await ownPage(page, origin, "<p>our own");
      const own = await page.evaluate((url) => fetch(url).then((answer) => answer.text()), target);
      assert.match(own, /name="proof"/);
      other.pages.set("/fetch", "<p>another site");
      await page.goto(`http://b.test:${other.port}/fetch`);
      await page.evaluate((url) => fetch(url, { mode: "no-cors", credentials: "include" }).catch(() => 0),
        origin + target);
    }),
    "iframe and image": (target) => inContext(browser, async (page) => {
      const tags = `<iframe src="${origin}${target}"></iframe><img src="${origin}${target}">`;
      await ownPage(page, origin, tags);
      other.pages.set("/embed", tags);
      await page.goto(`http://b.test:${other.port}/embed`);
    }),
    "POST without nonce": async (target) => {
      const token = target.split("=")[1];
      const fields = `token=%244DSID%3D${token}&question=click&proof=${"0".repeat(64)}`;
      const headers = { "content-type": "application/x-www-form-urlencoded", ...html };
      const answer = await ask(gate, "POST", "/foreign?$4DCONFIRM=0", { headers, body: fields });
      assert.equal(answer.status, 403);
      assert.match(answer.text, /confirm_refused/);
    },
  };
}

async function scannersSpendNothing(gate, browser, other) {
  const origin = `http://a.localhost:${gate.port}`;
  const shapes = Object.entries(scanners(gate, browser, origin, other));
  let restored = 0;
  for (const [name, scan] of shapes) {
    const { id, token } = await minted(gate);
    const before = await unspent(gate);
    const target = `/foreign?$4DSID=${token}`;
    await scan(target);
    assert.equal(await unspent(gate), before, `${name} spent a token`);
    const answer = await inContext(browser, async (page) => {
      const clicked = await click(page, origin + target);
      return { outcome: clicked.headers()["x-outcome"], id: (await clicked.json()).id };
    });
    assert.deepEqual(answer, { outcome: "restored", id }, name);
    assert.equal(await unspent(gate), before - 1, name);
    restored += 1;
  }
  return `${restored}/${shapes.length} scanner shapes, each followed by a click that restores`;
}

/** An attacker's link, opened by a guest and by a signed-in visitor (docs/SECURITY.md T21). */
async function attackersLink(gate, browser) {
  for (const host of HOSTS) {
    const origin = `http://${host}:${gate.port}`;
    for (const row of ["foreign-share", "foreign-transfer"]) {
      const attacker = await minted(gate);
      const spare = (await ask(gate, "GET", "/mint", { headers: { cookie: attacker.cookie } })).text;
      await inContext(browser, async (page) => {
        const answer = await click(page, `${origin}/${row}?$4DSID=${attacker.token}`);
        assert.equal((await answer.json()).id, attacker.id);
        await page.goto(`${origin}/login?privileges=admin&user=Ann`);
        const left = await ask(gate, "GET", "/whoami", { headers: { cookie: attacker.cookie } });
        assert.notEqual(JSON.parse(left.text).id, attacker.id, "the attacker rides along");
        const late = await ask(gate, "GET", `/whoami?$4DSID=${spare}`);
        assert.notEqual(late.headers["x-outcome"], "restored");
      });
    }
    await inContext(browser, async (page) => {
      const attacker = await minted(gate);
      await page.goto(`${origin}/login?privileges=admin&user=Ann`);
      const own = JSON.parse(await page.locator("body").innerText()).id;
      const before = await unspent(gate);
      await page.goto(`${origin}/share?$4DSID=${attacker.token}`);
      assert.equal(await heading(page), "Switch to another session?");
      assert.match(await page.locator("main").innerText(), /as Ann\b/);
      await page.click("text=Stay signed in as I am");
      assert.equal(new URL(page.url()).pathname, "/");
      await page.goto(`${origin}/whoami`);
      assert.equal(JSON.parse(await page.locator("body").innerText()).id, own);
      assert.equal(await unspent(gate), before);
      await page.goto(`${origin}/share?$4DSID=${attacker.token}`);
      assert.equal((await (await press(page)).json()).id, attacker.id);
    });
  }
  return "an attacker's link moves nobody without a click, and nobody rides along";
}

/** Another site sends the form by itself, and frames the page (docs/SECURITY.md T14, T30). */
async function forgeries(gate, browser, other) {
  for (const host of HOSTS) {
    const origin = `http://${host}:${gate.port}`;
    const { id, token } = await minted(gate);
    const before = await unspent(gate);
    const link = `${origin}/foreign?$4DSID=${token}`;
    // The attacker knows his own page: its token, and a proof for his own browser's nonce.
    const proof = await inContext(browser, async (page) => {
      await page.goto(link);
      return page.locator("[name=proof]").inputValue();
    });
    other.pages.set("/post", `<form method="post" action="${origin}/foreign?$4DCONFIRM=0">
      <input name="token" value="$4DSID=${token}"><input name="question" value="click">
      <input name="proof" value="${proof}"></form><script>document.forms[0].submit()</script>`);
    other.pages.set("/frame", `<iframe src="${link}" width="600" height="600"></iframe>`);
    await inContext(browser, async (page, context) => {
      // Also with the page open in another window, so that a nonce is there.
      for (const opened of [false, true]) {
        if (opened) await (await context.newPage()).goto(link);
        const form = page.waitForResponse((response) => response.request().method() === "POST");
        await page.goto(`http://b.test:${other.port}/post`);
        const answer = await form;
        assert.equal(answer.status(), 403, `${host}, page opened: ${opened}`);
        assert.equal(await unspent(gate), before);
      }
    });
    await inContext(browser, async (page, context) => {
      await page.goto(`http://b.test:${other.port}/frame`);
      await pause(300);
      const [, frame] = page.frames();
      assert.equal(await frame.locator("button").count(), 0, "the page lets itself be framed");
      const cookies = await context.cookies(origin);
      assert.deepEqual(cookies.filter(({ name }) => name.includes("4DCONF")), []);
    });
    assert.equal(await unspent(gate), before);
    const answer = await inContext(browser, async (page) => (await click(page, link)).json());
    assert.equal(answer.id, id);
  }
  return "forms and frames of another site: 403, nothing spent";
}

/** A provider's page sends a form back after a while (docs/SECURITY.md T24). */
async function formPost(gate, browser, other, secs) {
  const origin = `http://a.test:${gate.port}`;
  await inContext(browser, async (page) => {
    await page.goto(`${origin}/write?key=cart&value=3`);
    const { result: id } = JSON.parse(await page.locator("body").innerText());
    await page.goto(`${origin}/mint`);
    const token = await page.locator("body").innerText();
    const provider = `/provider-${gate.port}-${secs}`;
    other.pages.set(provider, `<form method="post" action="${origin}/state">
      <input name="code" value="7"><input name="state" value="${token}"></form>
      <script>setTimeout(() => document.forms[0].submit(), ${secs * 1000})</script>`);
    // The form is answered by a redirection, so that the browser shows its cookie; then it goes on.
    const shown = (response) => response.url().startsWith(`${origin}/`) && response.status() !== 303;
    const posted = page.waitForResponse(shown, { timeout: (secs + 20) * 1000 });
    await page.goto(`http://b.test:${other.port}${provider}`);
    const answer = await posted;
    const form = answer.request().redirectedFrom();
    assert.equal(form?.method(), "POST");
    const sent = await form.allHeaders();
    assert.ok(!(sent.cookie ?? "").includes("4DSID"), "a browser sent the cookie across sites");
    const seen = await answer.json();
    assert.deepEqual([answer.headers()["x-outcome"], seen.id, seen.storage], ["restored", id, { cart: "3" }]);
    // From the next click on this site, the browser is in its session.
    await page.evaluate(() => { location.href = "/whoami"; });
    await page.waitForURL(`${origin}/whoami`);
    assert.equal(JSON.parse(await page.locator("body").innerText()).id, id);
  });
}

/** A return from another site by a GET, which the row answers in place (docs/SECURITY.md T24). */
async function comeBack(gate, browser, other) {
  const origin = `http://a.test:${gate.port}`;
  await inContext(browser, async (page) => {
    await page.goto(`${origin}/write?key=cart&value=3`);
    const { result: id } = JSON.parse(await page.locator("body").innerText());
    await page.goto(`${origin}/mint`);
    const token = await page.locator("body").innerText();
    // A row that asks strangers: the binding cookie comes along whatever the session cookie is.
    const back = `${origin}/foreign-state?code=7&state=${token}`;
    const provider = `/sign-in-${gate.port}`;
    other.pages.set(provider, `<a href="${back}">back</a>`);
    await page.goto(`http://b.test:${other.port}${provider}`);
    const [answer] = await Promise.all([page.waitForResponse(back), page.click("a")]);
    assert.deepEqual([answer.headers()["x-outcome"], (await answer.json()).id], ["restored", id]);
    await page.evaluate(() => { location.href = "/whoami"; });
    await page.waitForURL(`${origin}/whoami`);
    assert.equal(JSON.parse(await page.locator("body").innerText()).id, id);
  });
}

/** The page that a link leads to loads something from another site (docs/SECURITY.md T04). */
async function nothingLeaks(gate, browser, other) {
  const origin = `http://a.localhost:${gate.port}`;
  for (const row of ["strip-say", "foreign-strip-say"]) {
    const { token } = await minted(gate);
    const image = `<img src="http://b.localhost:${other.port}/pixel?${row}">`;
    const link = `${origin}/${row}?body=${encodeURIComponent(image)}&header=content-type&value=text/html&$4DSID=${token}`;
    other.asked.length = 0;
    await inContext(browser, async (page, context) => {
      const loaded = page.waitForRequest((request) => request.url().includes("/pixel"));
      await page.goto(link);
      if (row.startsWith("foreign")) await page.click("button");
      await loaded;
      await page.waitForLoadState("load");
      assert.ok(!page.url().includes(token), page.url());
      const { entries } = await (await context.newCDPSession(page)).send("Page.getNavigationHistory");
      // Where there was a page to click, the link that led there is behind us, spent.
      const visited = entries.map(({ url }) => url).filter((url) => url.includes(row));
      const behind = row.startsWith("foreign") ? visited.slice(1) : visited;
      assert.ok(behind.length > 0 && !behind.join().includes(token), visited.join("\n"));
    });
    assert.ok(other.asked.some((text) => text.includes("/pixel")));
    assert.ok(!other.asked.join("\n").includes(token), "another site was told a token");
  }
  return "another site's log, location.href and the history hold no token";
}

/** What a handler redirects a link to is reached from the click, too. */
async function redirections(gate, browser, other) {
  const origin = `http://a.localhost:${gate.port}`;
  const away = `http://b.localhost:${other.port}/landed`;
  for (const [status, location, wanted] of [
    [302, away, away], [307, away, away], [307, "/whoami?here", `${origin}/whoami?here`]]) {
    const { token } = await minted(gate);
    const query = `status=${status}&header=location&value=${encodeURIComponent(location)}`;
    other.asked.length = 0;
    await inContext(browser, async (page) => {
      await page.goto(`${origin}/foreign-say?${query}&$4DSID=${token}`);
      await Promise.all([page.waitForURL(wanted), page.click("button")]);
      await page.waitForLoadState();
    });
    const asked = other.asked.filter((text) => /^\w+ \/landed /.test(text));
    assert.equal(asked.length, wanted === away ? 1 : 0);
    assert.ok(asked.every((text) => text.startsWith("GET ")), asked.join());
    assert.ok(!other.asked.join().includes(token), "another site was told a token");
  }
  return "a redirection is followed from the click, and sends no form on";
}

/** Pictures of the page on a phone, in the ways in which it can look. */
async function pictures(gate, browser) {
  const origin = `http://a.localhost:${gate.port}`;
  const { token } = await minted(gate);
  for (const [locale, colorScheme] of [["en", "light"], ["en", "dark"], ["de", "light"], ["ja", "light"],
    ["fr", "dark"], ["es", "light"]]) {
    const look = { locale, colorScheme, viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
    await inContext(browser, async (page) => {
      for (const question of ["click", "switch"]) {
        if (question === "switch") await page.goto(`${origin}/login?privileges=admin&user=Anna%20Example`);
        await page.goto(`${origin}/foreign-share?$4DSID=${token}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${locale} is ${overflow} px too wide on a phone`);
        assert.equal(await page.evaluate(() => document.documentElement.lang), locale);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.notEqual(ground, "rgba(0, 0, 0, 0)", "the policy blocks the page's own style");
        if (!process.env.SHOTS) continue;
        const file = path.join(process.env.SHOTS, `confirm-${question}-${locale}-${colorScheme}.png`);
        await page.screenshot({ path: file });
      }
    }, look);
  }
}

async function main() {
  if (process.env.SHOTS) mkdirSync(process.env.SHOTS, { recursive: true });
  const delays = process.env.CALLGATE_TEST_SIZE === "full" ? [5, 180] : [5];
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const started = [];
  let browser;
  let other;
  try {
    browser = await chromium.launch({ executablePath, args: FLAGS });
    other = await elsewhere();
    const gate = await serve();
    started.push(gate);
    console.log(await scannersSpendNothing(gate, browser, other));
    console.log(await attackersLink(gate, browser));
    console.log(await forgeries(gate, browser, other));
    console.log(await nothingLeaks(gate, browser, other));
    console.log(await redirections(gate, browser, other));
    await pictures(gate, browser);
    // What waits, waits side by side.
    await Promise.all(["Lax", "Strict"].map(async (sameSite) => {
      const server = await serve({ CALLGATE_COOKIE_SAME_SITE: sameSite });
      started.push(server);
      await comeBack(server, browser, other);
      await Promise.all(delays.map((secs) => formPost(server, browser, other, secs)));
      console.log(`${sameSite}: a link and a form from another site, the form after ${delays.join(" s and ")} s, restore`);
    }));
  } finally {
    await browser?.close();
    other?.close();
    for (const { server } of started) server.kill("SIGTERM");
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
