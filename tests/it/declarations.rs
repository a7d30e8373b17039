//! The declarations for editors, held against what a class really sees: neither may have a member
//! that the other has not.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;

use callgate::Gate;
use callgate::Settings;
use callgate::backend::script::DECLARATIONS;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::probe::PNG;
use crate::support::settings;

/// A class that tells what it sees: by name, the members of what it was given and found.
const ONLOOKER: &str = r#"
import * as callgate from "callgate";

const of = (value) => {
  const names = new Set(Object.getOwnPropertyNames(value));
  const from = Object.getPrototypeOf(value);
  if (from !== Object.prototype) Object.getOwnPropertyNames(from).forEach((name) => names.add(name));
  return [...names].filter((name) => name !== "constructor");
};

const ofEveryClass = ["length", "name", "prototype"];
const statics = (type) =>
  Object.getOwnPropertyNames(type).filter((name) => !ofEveryClass.includes(name));

export default class Onlooker {
  async list(request, session) {
    const { files: [file], ...form } = await request.getForm();
    await session.createOTP();
    const key = await crypto.subtle.importKey(
      "raw", new Uint8Array(8), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const controller = new AbortController();
    const seen = {
      IncomingMessage: of(request),
      Session: of(session),
      Form: of(await request.getForm()),
      Upload: of(file),
      Device: of(session.devices()[0]),
      CryptoKey: of(key),
      console: of(console),
      crypto: of(crypto),
      subtle: of(crypto.subtle),
      performance: of(performance),
      AbortController: of(controller),
      AbortSignal: of(controller.signal).concat(statics(AbortSignal)),
      OutgoingMessage: of(new callgate.OutgoingMessage()).concat(statics(callgate.OutgoingMessage)),
    };
    for (const type of [Response, Headers, URL, URLSearchParams, TextEncoder, TextDecoder]) {
      seen[type.name] = of(type.prototype).concat(statics(type));
    }
    return { ...seen, callgate: Object.keys(callgate), globals: Object.getOwnPropertyNames(globalThis) };
  }

  picture(request) {
    return of(request.getPicture());
  }
}
"#;

const TABLE: &str = r#"[
  { "class": "Onlooker", "method": "list", "pattern": "list" },
  { "class": "Onlooker", "method": "picture", "pattern": "picture" }
]"#;

/// What the language itself has (ECMA-262, with its proposals and its past), and what this engine
/// calls errors of its own.
const LANGUAGE: &[&str] = &[
    "AggregateError",
    "Array",
    "ArrayBuffer",
    "AsyncDisposableStack",
    "Atomics",
    "BigInt",
    "BigInt64Array",
    "BigUint64Array",
    "Boolean",
    "DataView",
    "Date",
    "DisposableStack",
    "Error",
    "EvalError",
    "FinalizationRegistry",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "Function",
    "Infinity",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "InternalError",
    "Iterator",
    "JSON",
    "Map",
    "Math",
    "NaN",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "RangeError",
    "ReferenceError",
    "Reflect",
    "RegExp",
    "Set",
    "SharedArrayBuffer",
    "String",
    "SuppressedError",
    "Symbol",
    "SyntaxError",
    "TypeError",
    "URIError",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "WeakMap",
    "WeakRef",
    "WeakSet",
    "decodeURI",
    "decodeURIComponent",
    "encodeURI",
    "encodeURIComponent",
    "escape",
    "eval",
    "globalThis",
    "isFinite",
    "isNaN",
    "parseFloat",
    "parseInt",
    "undefined",
    "unescape",
];

type Members = BTreeMap<String, BTreeSet<String>>;

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// What a class sees, by the name of what has the members.
async fn seen() -> Members {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("classes")).unwrap();
    fs::write(folder.path().join("classes/Onlooker.js"), ONLOOKER).unwrap();
    let classes = Some(folder.path().join("classes"));
    let gate = Gate::builder(Settings { classes, ..settings() }).table(TABLE).open().await.unwrap();
    let form =
        "--x\r\ncontent-disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc\r\n--x--\r\n";
    let visitor = gate.client();
    let list = visitor.post("/list").header("content-type", "multipart/form-data; boundary=x");
    let list = list.body(form).send().await;
    let picture = visitor.post("/picture").header("content-type", "image/png").body(PNG);
    let picture = picture.send().await.json();
    assert_eq!(list.status, 200, "{}", list.text());
    let list = list.json()["result"].clone();
    let mut seen: Members =
        list.as_object().unwrap().iter().map(|(name, list)| (name.clone(), names(list))).collect();
    seen.insert("Picture".to_owned(), names(&picture["result"]));
    seen
}

/// What the declarations say, by the name of what has the members. Types have no place among
/// `globals`: at run time they do not exist.
fn declared() -> Members {
    let mut members = Members::new();
    // What is open, outermost first, with the depth at which its members stand.
    let mut open: Vec<(String, usize)> = Vec::new();
    for line in DECLARATIONS.lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim_start();
        while open.last().is_some_and(|(_, inside)| depth < *inside && !text.is_empty()) {
            open.pop();
        }
        if text.starts_with(['/', '*', '}', '|', '{', '[', ')']) || text.is_empty() {
            continue;
        }
        let (mut kinds, mut rest) = (Vec::new(), text);
        while let Some(kind) = KINDS.iter().find(|kind| rest.starts_with(**kind)) {
            kinds.push(*kind);
            rest = &rest[kind.len()..];
        }
        let name = rest.split([' ', '(', ':', '<', '?', ';']).next().unwrap().trim_matches('"');
        let name = name.to_owned();
        let is_type = kinds.contains(&"interface ") || kinds.contains(&"type ");
        let within = match open.last() {
            None if kinds.contains(&"declare ") && !kinds.contains(&"module ") => Some("globals"),
            Some((owner, inside)) if *inside == depth => Some(owner.as_str()),
            _ => None,
        };
        if let Some(owner) = within.filter(|_| !is_type && name != "constructor") {
            members.entry(owner.to_owned()).or_default().insert(name.clone());
        }
        if text.ends_with('{') {
            open.push((name, depth + 2));
        }
    }
    members
}

/// What stands before the name of something that is declared.
const KINDS: [&str; 11] = [
    "declare ",
    "export ",
    "interface ",
    "type ",
    "class ",
    "const ",
    "function ",
    "module ",
    "readonly ",
    "static ",
    "private ",
];

#[tokio::test]
async fn every_member_is_declared_and_every_declared_member_is_there() {
    let (seen, declared) = (seen().await, declared());
    for (owner, members) in &seen {
        let known = &declared.get(owner).unwrap_or_else(|| panic!("{owner} is not declared"));
        let members: BTreeSet<&str> = members
            .iter()
            .map(String::as_str)
            .filter(|name| owner != "globals" || !LANGUAGE.contains(name))
            .collect();
        let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let missing: Vec<_> = members.difference(&known).collect();
        let invented: Vec<_> = known.difference(&members).collect();
        assert!(missing.is_empty(), "{owner}: not declared: {missing:?}");
        assert!(invented.is_empty(), "{owner}: declared, but not there: {invented:?}");
    }
    let count: usize = seen.values().map(BTreeSet::len).sum();
    assert!(count >= 200, "only {count} members were seen");
}
