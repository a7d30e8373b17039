// Each: a name, what it works on, and after `---` what is done for ever.
// text.includes
const text = "a".repeat(1 << 20), part = "a".repeat(1 << 19) + "b";
---
text.includes(part);
// text.indexOf through call
const text = "a".repeat(1 << 20), part = "a".repeat(1 << 19) + "b";
---
String.prototype.indexOf.call(text, part);
// text.lastIndexOf
const text = "a".repeat(1 << 20), part = "b" + "a".repeat(1 << 19);
---
text.lastIndexOf(part);
// text.split
const text = "a".repeat(1 << 20), part = "a".repeat(1 << 19) + "b";
---
text.split(part);
// text.replaceAll with a function
const text = "a".repeat(1 << 20), part = "a".repeat(1 << 19) + "b";
---
text.replaceAll(part, () => "x");
// text.replaceAll many
const text = "ab".repeat(1 << 19);
---
text.replaceAll("a", "b");
// text.normalize
const text = "a" + "\u0301\u0316".repeat(1 << 18);
---
text.normalize("NFC");
// text.localeCompare
const text = "a" + "\u0301\u0316".repeat(1 << 18);
---
text.localeCompare(text + "b");
// short searches
const text = "a".repeat(1 << 20);
---
text.includes("b");
// equal texts
const text = "a".repeat(1 << 20), other = "a".repeat((1 << 20) - 1) + "a";
---
if (text !== other) break;
// equal texts of 8 MiB
const text = "a".repeat(1 << 23), other = "a".repeat((1 << 23) - 1) + "a";
---
if (text !== other) break;
// ordered texts
const text = "a".repeat(1 << 20), other = "a".repeat(1 << 20);
---
if (text < other) break;
// a long key
const text = "a".repeat(1 << 20), map = {};
---
map[text + "b"];
// a long key of a Map
const text = "a".repeat(1 << 20), map = new Map();
---
map.get(text);
// concatenation
let text = "a".repeat(1 << 20), n = 0;
---
const more = text + (n += 1); more.charCodeAt(more.length - 2);
// template
let text = "a".repeat(1 << 20), n = 0;
---
`${text}${text}${n += 1}`.charCodeAt(9);
// spread of a list
const list = Array.from({ length: 1 << 18 }, (_, at) => at);
---
[...list];
// spread of an object
const map = Object.fromEntries(Array.from({ length: 1 << 16 }, (_, at) => [`k${at}`, at]));
---
({ ...map });
// rest of an object
const map = Object.fromEntries(Array.from({ length: 1 << 16 }, (_, at) => [`k${at}`, at]));
---
const { k1, ...rest } = map;
// for in
const map = Object.fromEntries(Array.from({ length: 1 << 16 }, (_, at) => [`k${at}`, at]));
---
for (const key in map) break;
// arguments
const list = Array.from({ length: 60000 }, (_, at) => at);
---
Math.max(...list);
// Object.assign
const map = Object.fromEntries(Array.from({ length: 1 << 16 }, (_, at) => [`k${at}`, at]));
---
Object.assign({}, map);
// Object.entries
const map = Object.fromEntries(Array.from({ length: 1 << 16 }, (_, at) => [`k${at}`, at]));
---
Object.entries(map);
// join of nothing
const list = new Array(2 ** 32 - 1);
---
list.join("");
// sparse reverse
const list = []; list[2 ** 32 - 2] = 1;
---
list.reverse();
// sparse sort
const list = []; list[2 ** 32 - 2] = 1;
---
list.sort();
// sparse fill
const list = { length: 2 ** 53 - 1 };
---
Array.prototype.fill.call(list, 1, 2 ** 53 - 100_000_000);
// sparse copyWithin
const list = { length: 2 ** 53 - 1 };
---
Array.prototype.copyWithin.call(list, 0, 1000);
// sparse lastIndexOf
const list = { length: 2 ** 53 - 1 };
---
Array.prototype.lastIndexOf.call(list, 1);
// sparse includes
const list = { length: 2 ** 53 - 1 };
---
Array.prototype.includes.call(list, 1);
// sparse flat
const list = { length: 2 ** 53 - 1 };
---
Array.prototype.flat.call(list);
// sparse unshift
const list = { length: 2 ** 53 - 10 };
---
Array.prototype.unshift.call(list, 1);
// sparse splice
const list = { length: 2 ** 53 - 10 };
---
Array.prototype.splice.call(list, 0, 1);
// sparse concat
const list = new Array(2 ** 31);
---
list.concat(list);
// a Set of an endless list
---
new Set({ length: 2 ** 53 - 1, [Symbol.iterator]: Array.prototype[Symbol.iterator] });
// Array.from without end
---
Array.from({ length: 2 ** 32 - 1 });
// String.raw
---
String.raw({ raw: { length: 2 ** 53 - 1 } });
// sort of texts
const list = Array.from({ length: 1 << 17 }, (_, at) => "x".repeat(40) + String(at * 7919 % 131071));
---
list.toSorted();
// sort with a comparator
const list = Array.from({ length: 1 << 17 }, (_, at) => at * 7919 % 131071);
---
list.toSorted((a, b) => a - b);
// sort of bytes
const bytes = new Uint8Array(1 << 23).map((_, at) => at * 7919);
---
bytes.toSorted();
// copies of bytes
const bytes = new Uint8Array(1 << 23);
---
bytes.slice();
// filling of bytes
const bytes = new Uint8Array(1 << 23);
---
bytes.fill(1).indexOf(7);
// copyWithin of bytes
const bytes = new Uint8Array(1 << 23);
---
bytes.copyWithin(1, 0);
// reversing bytes
const bytes = new Uint8Array(1 << 23);
---
bytes.reverse();
// bytes joined
const bytes = new Uint8Array(1 << 20);
---
bytes.join("");
// BigInt of digits
const text = "9".repeat(300000);
---
BigInt(text);
// BigInt as text
const big = 3n ** 600000n;
---
`${big}`;
// BigInt multiplied
const big = 3n ** 600000n;
---
big * (big >> 1n);
// BigInt divided
const big = 3n ** 600000n, half = 3n ** 300000n;
---
big / half;
// BigInt powers
let big = 3n;
---
7n ** 370000n;
// BigInt shifted
const big = 3n ** 600000n;
---
big >> 3n;
// regular expression that goes back
const text = "a".repeat(1 << 16) + "b";
---
/^(a+)+$/.test(text);
// regular expression that is quadratic
const text = "a".repeat(1 << 20);
---
/a*b/.test(text);
// regular expression with a reference
const text = "a".repeat(1 << 20);
---
/(a+)\1b/.test(text);
// long regular expression
const text = "a".repeat(1 << 20), made = new RegExp("a".repeat(1 << 15) + "b");
---
made.test(text);
// regular expression made
const text = Array.from({ length: 1 << 15 }, (_, at) => String.fromCodePoint(0x4e00 + at * 2 % 20000)).join("");
---
new RegExp(`[${text}]`, "iu");
// alternatives made
const text = "abc|".repeat(1 << 17);
---
new RegExp(text);
// named groups
const text = "(?<a>x)" + "\\k<a>".repeat(1 << 16);
---
new RegExp(text);
// matchAll
const text = "ab".repeat(1 << 19);
---
[...text.matchAll(/a/g)].length;
// match
const text = "ab".repeat(1 << 19);
---
text.match(/a/g).length;
// replace by a regular expression
const text = "ab".repeat(1 << 19);
---
text.replace(/b/g, "xx");
// split by a regular expression
const text = "ab".repeat(1 << 19);
---
text.split(/b/).length;
// shared structure as JSON
let shared = [1]; for (let depth = 0; depth < 60; depth += 1) shared = [shared, shared];
---
JSON.stringify(shared);
// JSON of a sparse list
const list = new Array(2 ** 32 - 1);
---
JSON.stringify(list);
// JSON read
const text = JSON.stringify(Array.from({ length: 1 << 17 }, (_, at) => at));
---
JSON.parse(text);
// JSON of keys that collide
const keys = []; for (let at = 0; at < 30000; at += 1) keys.push(`"${at * 65536}":0`); const text = `{${keys.join()}}`;
---
JSON.parse(text);
// JSON written
const list = Array.from({ length: 1 << 17 }, (_, at) => at);
---
JSON.stringify(list);
// structuredClone of shared structure
const list = Array.from({ length: 1 << 16 }, (_, at) => ({ at }));
---
structuredClone(list);
// Proxy with many keys
const keys = Array.from({ length: 1 << 16 }, (_, at) => `k${at}`);
---
Reflect.ownKeys(new Proxy({}, { ownKeys: () => keys }));
// decodeURIComponent
const text = "%41".repeat(1 << 18);
---
decodeURIComponent(text);
// encodeURIComponent
const text = "ä".repeat(1 << 18);
---
encodeURIComponent(text);
// escape and unescape
const text = "ä".repeat(1 << 18);
---
unescape(escape(text));
// padding and repeating
---
"a".padStart(1 << 20).repeat(4);
// upper case
const text = "ß".repeat(1 << 19);
---
text.toUpperCase();
// trimming
const text = " ".repeat(1 << 20);
---
text.trim();
// well-formed
const text = "\u1234".repeat(1 << 20);
---
text.isWellFormed();
// code compiled
const text = "let " + Array.from({ length: 1 << 15 }, (_, at) => `a${at}`).join() + ";";
---
new Function(text);
// code with jumps
const text = "if(a)b;".repeat(1 << 16);
---
new Function("a", "b", text);
// Map made and walked
const pairs = Array.from({ length: 1 << 15 }, (_, at) => [at, at]);
---
new Map(pairs).forEach(() => {});
// sets joined
const list = new Set(Array.from({ length: 1 << 15 }, (_, at) => at));
---
list.union(list).isSubsetOf(list);
// groups
const list = Array.from({ length: 1 << 15 }, (_, at) => at);
---
Object.groupBy(list, (at) => at % 7);
// digests that nobody awaits
const bytes = new Uint8Array(1 << 20);
---
crypto.subtle.digest("SHA-512", bytes);
// digests
const bytes = new Uint8Array(1 << 20);
---
await crypto.subtle.digest("SHA-512", bytes);
// signatures
const key = await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
const bytes = new Uint8Array(1 << 20);
---
await crypto.subtle.sign("HMAC", key, bytes);
// random bytes
const bytes = new Uint8Array(65536);
---
crypto.getRandomValues(bytes);
// texts as bytes
const text = "ä".repeat(1 << 19);
---
new TextDecoder().decode(new TextEncoder().encode(text));
// parameters
const text = "a=b&".repeat(1 << 18);
---
new URLSearchParams(text);
// parameters that are set
const params = new URLSearchParams("a=b&".repeat(1 << 14));
---
params.append("c", "d"); params.toString();
// addresses
const text = "http://a.example/" + "ä".repeat(1 << 18);
---
new URL(text);
// addresses with a long host
const text = "http://xn--" + "a".repeat(1 << 19) + "/";
---
URL.canParse(text);
// headers
const text = "a".repeat(1 << 20);
---
new Headers({ [text]: text });
// console
const list = Array.from({ length: 1 << 12 }, (_, at) => "x".repeat(200) + at);
---
console.log(list);
// awaiting nothing
---
await 0;
// awaiting and searching
const text = "a".repeat(1 << 20);
---
await text.includes("b");
// dates
const text = "1".repeat(1 << 20);
---
Date.parse(text); new Date(text);
// numbers
const text = "1".repeat(1 << 20);
---
Number(text); parseFloat(text); parseInt(text, 10);
// apply with many
const list = { length: 65000 };
---
Reflect.apply(String.fromCharCode, null, list);
// generators
function* endless() { for (;;) yield 1; }
---
for (const one of endless()) if (one === 2) break;
// iterator helpers
function* endless() { for (;;) yield 1; }
---
endless().filter((one) => one === 2).next();
// labels
---
outer: for (;;) { for (;;) continue outer; }
// buffers
---
new ArrayBuffer(1 << 24).slice(1);
// long lists freed
let list = null;
---
list = Array.from({ length: 1 << 18 }, (_, at) => [at]); list.length = 0;
