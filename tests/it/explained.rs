//! `callgate explain` and the server that runs say the same about every request.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::agree::Dice;
use crate::support::program;

const TABLE: &str = r#"[
  { "class": "Echo", "method": "r1", "pattern": "orders", "verbs": "GET, HEAD" },
  { "class": "Echo", "method": "r2", "pattern": "orders/paid", "verbs": "POST", "otp": { "param": "state" } },
  { "class": "Echo", "method": "r3", "regexPattern": "/docs/(?<page>[a-z]+)$", "verbs": "get" },
  { "class": "Echo", "method": "r4", "regexPattern": "/(?i)files/.+" },
  { "class": "Echo", "method": "r5", "pattern": "caf\u00e9" },
  { "class": "Echo", "method": "r6", "pattern": "only", "verbs": "BREW, OPTIONS" }
]"#;

const CLASS: &str = r#"import { OutgoingMessage } from "callgate";
const row = (n) => new OutgoingMessage().setHeader("X-Row", String(n)).setBody("");
export default class Echo {
  r1() { return row(1); } r2() { return row(2); } r3() { return row(3); }
  r4() { return row(4); } r5() { return row(5); } r6() { return row(6); }
}
"#;

/// The program as it serves; it is killed when this is dropped.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--internal", "off", "--store", "memory:"])
            .args(["--rate-limits", "off", "--limits-target-bytes", "2048"])
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address =
            lines.find_map(|it| Some(it.strip_prefix("listening on http://")?.to_owned()));
        Self { address: address.unwrap(), child }
    }

    /// Status, `X-Row` and `Allow` of the response to one request.
    fn ask(&self, method: &str, target: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // A server that refuses what is left of a request may reset the connection.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let field = |name: &str| {
            let line = |line: &str| {
                Some(
                    line.split_once(": ")
                        .filter(|(it, _)| it.eq_ignore_ascii_case(name))?
                        .1
                        .to_owned(),
                )
            };
            text.lines().take_while(|line| !line.is_empty()).find_map(line).unwrap_or_default()
        };
        let status =
            text.split(' ').nth(1).unwrap_or_else(|| panic!("{method} {target}: {text:?}"));
        (status.parse().unwrap(), field("x-row"), field("allow"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program explains, as the status, row and `Allow` that the server must answer with.
fn explained(folder: &Path, method: &str, target: &str) -> (u16, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .args([
            "explain",
            "--format",
            "json",
            "--limits-target-bytes",
            "2048",
            "--",
            method,
            target,
        ])
        .current_dir(folder)
        .env_clear();
    let output = program::output(&mut command);
    let told = || format!("{method} {target}: {output:?}");
    let value: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told()));
    let allow: Vec<&str> =
        value["allow"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let hit = value["rows"].as_array().unwrap().iter().find(|row| row["hit"] == true);
    assert_eq!(hit.map(|row| &row["row"]), value.get("row"), "{}", told());
    let status = match value["answer"].as_str().unwrap() {
        "row" => 200,
        "methodNotAllowed" if method == "OPTIONS" => 204,
        "methodNotAllowed" => 405,
        "badPath" | "badRequest" => 400,
        "reserved" if method == "OPTIONS" && target == "*" => 204,
        "notFound" | "reserved" => 404,
        "notImplemented" => 501,
        "targetTooLong" => 414,
        other => panic!("{other}: {}", told()),
    };
    let row = value.get("row").map(Value::to_string).unwrap_or_default();
    (status, row, allow.join(", "))
}

const METHODS: [&str; 17] = [
    "GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "BREW", "TRACE",
    "CONNECT", "get", "Get", "trace", "PROPFIND", "G(T",
];
const STARTS: [&str; 10] = [
    "/orders",
    "/orders/paid",
    "/docs/a",
    "/files/x",
    "/FILES/x",
    "/caf%C3%A9",
    "/only",
    "//orders",
    "/rest",
    "/nothing",
];
const ENDS: [&str; 16] = [
    "",
    "",
    "",
    "/",
    "/x",
    "x",
    ";jsessionid=1A2B",
    ";x=1/y",
    "/..",
    "/%2e",
    "/%2F",
    "%zz",
    "%00",
    "/\\x",
    "#part",
    "/%41",
];
const QUERIES: [&str; 9] = [
    "",
    "",
    "",
    "?x=1",
    "?$4DSID=0123456789ABCDEF0123456789ABCDEF",
    "?$4DSID=0123456789ABCDEF0123456789ABCDEF&%244DSID=FEDCBA9876543210FEDCBA9876543210",
    "?state=0123456789ABCDEF0123456789ABCDEF&state=FEDCBA9876543210FEDCBA9876543210",
    "?a=\"b\"",
    "?a=%zz",
];

#[test]
fn the_explanation_is_what_the_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("handlers.json"), TABLE).unwrap();
    std::fs::create_dir(folder.path().join("classes")).unwrap();
    std::fs::write(folder.path().join("classes/Echo.js"), CLASS).unwrap();
    let serving = Serving::start(folder.path());
    let long = |bytes: usize| format!("/orders/{}", "a".repeat(bytes - 8));
    let many =
        format!("/orders?{}", (0..120).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&"));
    let mut requests: Vec<(String, String)> = [
        ("OPTIONS", "*"),
        ("GET", "*"),
        ("CONNECT", "host:443"),
        ("GET", "http://x/orders"),
        ("GET", "http://x"),
        ("GET", "orders"),
        ("GET", "/orders/%C3"),
        ("GET", "/\u{e9}"),
        ("GET", "/4DACTION/x"),
        ("GET", "/$lib/renderer"),
        ("TRACE", "/%zz"),
    ]
    .map(|(method, target)| (method.to_owned(), target.to_owned()))
    .into();
    requests.extend([long(2_048), long(2_049), many].map(|target| ("GET".to_owned(), target)));
    let mut dice = Dice(501);
    while requests.len() < 160 {
        let target = [dice.pick(&STARTS), dice.pick(&ENDS), dice.pick(&QUERIES)].concat();
        requests.push((dice.pick(&METHODS).to_owned(), target));
    }
    let mut seen: Vec<u16> = Vec::new();
    for (method, target) in &requests {
        let expected = explained(folder.path(), method, target);
        let answered = serving.ask(method, target);
        assert_eq!(answered, expected, "{method} {target}: answered, explained");
        seen.push(answered.0);
    }
    for status in [200, 204, 400, 404, 405, 414, 501] {
        assert!(seen.contains(&status), "no request was answered {status}");
    }
}
