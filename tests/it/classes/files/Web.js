// The basics of the web that handlers find without importing them.
import { equal, raises, rejects } from "./check.js";

const hex = (bytes) => new Uint8Array(bytes).toHex();
const utf8 = (text) => new TextEncoder().encode(text);

export default class Web {
  encodesText() {
    equal(hex(utf8("é😀")), "c3a9f09f9880");
    equal(hex(utf8("\ud800")), "efbfbd");
    const decoder = new TextDecoder();
    equal(decoder.decode(utf8("\ufeffé")), "é");
    equal(new TextDecoder("utf8", { ignoreBOM: true }).decode(utf8("\ufeffé")), "\ufeffé");
    equal(decoder.decode(new Uint8Array([0xff, 0x41]).buffer), "\ufffdA");
    raises("TypeError", "no UTF-8", () => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff])));
    raises("RangeError", "utf-8 only", () => new TextDecoder("latin1"));
    raises("TypeError", "bytes, not a text", () => decoder.decode("x"));
    equal([btoa("callgate"), atob("Y2FsbGdhdGU=")], ["Y2FsbGdhdGU=", "callgate"]);
  }

  readsUrls() {
    const url = new URL("/a/../b c?x=1&y=%20#h", "https://user:pw@Shop.Example:8443/dir/");
    equal(url.href, "https://user:pw@shop.example:8443/b%20c?x=1&y=%20#h");
    equal(
      [url.origin, url.protocol, url.username, url.password, url.host, url.hostname, url.port, url.pathname, url.search, url.hash],
      ["https://shop.example:8443", "https:", "user", "pw", "shop.example:8443", "shop.example", "8443", "/b%20c", "?x=1&y=%20", "#h"],
    );
    url.port = "443";
    url.pathname = "/pay me";
    url.hash = "";
    url.username = "";
    url.password = "";
    url.search = "a=1&a=2";
    equal(String(url), "https://shop.example/pay%20me?a=1&a=2");
    equal(url.searchParams.getAll("a"), ["1", "2"]);
    url.searchParams.set("a", "x y");
    url.searchParams.append("é", "&=");
    equal(url.search, "?a=x+y&%C3%A9=%26%3D");
    url.search = "?z=9";
    equal(url.searchParams.get("z"), "9");
    url.href = "http://b.example/?q=1";
    equal([url.searchParams.get("q"), url.searchParams.get("z")], ["1", null]);
    equal(JSON.stringify({ url }), '{"url":"http://b.example/?q=1"}');
    equal([URL.canParse("/x"), URL.canParse("/x", "http://a"), URL.parse("nothing")], [false, true, null]);
    raises("TypeError", "no URL", () => new URL("2E5D0D57751D471DB29FD110D2DCE253"));
  }

  readsQueries() {
    const params = new URLSearchParams("?a=1&b=2&a=x+y%21&c");
    equal([params.get("a"), params.getAll("a"), params.get("none"), params.size], ["1", ["1", "x y!"], null, 4]);
    equal([params.has("c"), params.has("a", "1"), params.has("a", "2")], [true, true, false]);
    params.delete("a", "1");
    params.sort();
    equal(params.toString(), "a=x+y%21&b=2&c=");
    equal([...params], [["a", "x y!"], ["b", "2"], ["c", ""]]);
    equal([...new URLSearchParams({ k: "v", n: 1 })], [["k", "v"], ["n", "1"]]);
    equal(String(new URLSearchParams([["a", "b"]])), "a=b");
    raises("TypeError", "pairs", () => new URLSearchParams([["a"]]));
    const seen = [];
    params.forEach((value, name) => seen.push(name + value));
    equal([seen.length, [...params.keys()].join(""), [...params.values()].length], [3, "abc", 3]);
  }

  async digestsAndSigns() {
    // FIPS 180-2, appendix B.1.
    equal(hex(await crypto.subtle.digest("SHA-256", utf8("abc"))),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    equal(hex(await crypto.subtle.digest({ name: "sha-1" }, utf8("abc").buffer)), "a9993e364706816aba3e25717850c26c9cd0d89d");
    // RFC 7636, appendix B: the challenge of a sign-in with PKCE.
    const challenge = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")));
    equal(challenge.toBase64({ alphabet: "base64url", omitPadding: true }), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    // RFC 4231, test case 2.
    const key = await crypto.subtle.importKey("raw", utf8("Jefe"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
    const signature = await crypto.subtle.sign("HMAC", key, utf8("what do ya want for nothing?"));
    equal(hex(signature), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    equal(await crypto.subtle.verify("HMAC", key, signature, utf8("what do ya want for nothing?")), true);
    equal(await crypto.subtle.verify("HMAC", key, signature, utf8("what do ya want for nothing!")), false);
    equal([key.type, key.algorithm.hash.name, JSON.stringify(key)], ["secret", "SHA-256", "{}"]);
    await rejects("RangeError", "no hash", crypto.subtle.digest("MD5", utf8("abc")));
    await rejects("TypeError", "bytes, not a text", crypto.subtle.digest("SHA-256", "abc"));
    await rejects("TypeError", "HMAC", crypto.subtle.importKey("jwk", {}, "RSA", false, []));
  }

  isRandom() {
    const bytes = crypto.getRandomValues(new Uint8Array(64));
    equal(bytes.some((byte) => byte !== 0), true);
    equal(crypto.getRandomValues(new Uint32Array(4)).length, 4);
    raises("RangeError", "65536", () => crypto.getRandomValues(new Uint8Array(65537)));
    raises("TypeError", "integers", () => crypto.getRandomValues(new Float64Array(1)));
    const id = crypto.randomUUID();
    equal(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id), true);
    equal(id === crypto.randomUUID(), false);
  }

  clones() {
    const shared = { n: 1 };
    const original = { a: shared, b: shared, when: new Date(5), map: new Map([[1, shared]]), set: new Set([1]), bytes: new Uint8Array([1, 2]) };
    original.self = original;
    const copy = structuredClone(original);
    equal([copy !== original, copy.self === copy, copy.a === copy.b, copy.a !== shared], [true, true, true, true]);
    equal([copy.when.getTime(), copy.map.get(1) === copy.a, copy.set.has(1), copy.bytes[1]], [5, true, true, 2]);
    copy.bytes[0] = 9;
    equal(original.bytes[0], 1);
    raises("DataCloneError", "function", () => structuredClone({ f() {} }));
    equal(structuredClone(new RangeError("x")).name, "RangeError");
  }

  async tells() {
    const order = [];
    queueMicrotask(() => order.push("micro"));
    const timer = setTimeout(() => order.push("never"), 1);
    clearTimeout(timer);
    clearTimeout(undefined);
    clearInterval("x");
    await new Promise((done) => setTimeout((value) => (order.push(value), done()), 5, "timer"));
    let ticks = 0;
    await new Promise((done) => {
      const interval = setInterval((step) => {
        ticks += step;
        if (ticks < 3) return;
        clearInterval(interval);
        done();
      }, 1, 1);
    });
    equal([order, ticks], [["micro", "timer"], 3]);
    raises("TypeError", "setTimeout wants a function, not a text", () => setTimeout("alert(1)"));
  }

  async waitsForSoManyThingsAtOnce() {
    raises("RangeError", "64 things at once", () => {
      for (let n = 0; n < 65; n += 1) setTimeout(() => {}, 60_000);
    });
  }

  async givesUp() {
    const controller = new AbortController();
    const heard = [];
    controller.signal.onabort = () => heard.push("on");
    controller.signal.addEventListener("abort", () => heard.push("listener"));
    controller.abort();
    controller.abort();
    equal([heard, controller.signal.aborted, controller.signal.reason.name], [["listener", "on"], true, "AbortError"]);
    raises("AbortError", "given up", () => controller.signal.throwIfAborted());
    const late = AbortSignal.timeout(1);
    await new Promise((done) => late.addEventListener("abort", done));
    equal(late.reason.name, "TimeoutError");
    equal(AbortSignal.any([late]).aborted, true);
    equal(AbortSignal.abort("mine").reason, "mine");
  }

  hasNothingElse() {
    for (const name of ["process", "require", "Deno", "Bun", "std", "os", "bjson", "XMLHttpRequest", "WebAssembly", "Worker", "importScripts", "host"]) {
      equal([name, typeof globalThis[name]], [name, "undefined"]);
    }
    const request = Object.getOwnPropertyNames(globalThis).filter((name) => /callgate|4d/i.test(name));
    equal(request, []);
  }

  async cannotImportWhatIsOurs() {
    for (const name of ["callgate/host", "callgate/main", "callgate/session", "fs", "node:fs", "/etc/passwd", "https://a.example/x.js", "../secret.js", "data:text/javascript,1"]) {
      await import(name).then(() => equal(name, "refused"), () => undefined);
    }
  }
}
