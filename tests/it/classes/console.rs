//! What `console` says, and what it does not.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use callgate::backend::Budgets;
use callgate::backend::script::Environment;
use serde_json::Value;
use serde_json::json;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::classes::Stage;
use crate::classes::environment;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The lines with this event.
    fn lines(&self, event: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["fields"]["event"] == event).collect()
    }

    /// Captures what this thread logs until the returned value is dropped.
    ///
    /// While only one subscriber exists, tracing caches the interest of the thread that reaches an
    /// event first, which may be that of another test. A second dispatcher turns the cache off.
    fn listen(&self) -> (DefaultGuard, Dispatch) {
        let second = Dispatch::new(NoSubscriber::default());
        let lines = tracing_subscriber::fmt().json().with_writer(self.clone());
        let lines = lines.with_max_level(tracing::Level::TRACE).finish();
        (tracing::subscriber::set_default(lines), second)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_line_names_class_function_and_request() {
    let log = Log::default();
    let _listening = log.listen();
    let text = r#"
console.info("loaded");
export default class Talker {
  talk() {
    console.debug("d");
    console.log("text", 1, [1, { a: "b" }], null, undefined, 2n, new Map([["k", new Set([1])]]));
    console.warn(new TypeError("mine"));
    console.error({ get bad() { throw new Error("x"); } }, () => 1);
    const circle = { name: "c" };
    circle.self = circle;
    console.log(circle, "a\nb\u001b[31m");
  }
}"#;
    let stage = Stage::with(environment(), "Talker", text).await;
    let answer = stage.visitor().get("talk").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = log.lines("script.console");
    let said: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["fields"]["message"].as_str().unwrap()))
        .collect();
    assert_eq!(said[0], ("INFO", "loaded"));
    assert_eq!(said[1], ("DEBUG", "d"));
    let shown = "text 1 [1, {a: \"b\"}] null undefined 2n Map {\"k\" => Set {1}}";
    assert_eq!(said[2], ("INFO", shown));
    assert_eq!(said[3].0, "WARN");
    assert!(
        said[3].1.starts_with("TypeError: mine at talk (classes/Talker.js:7:"),
        "{}",
        said[3].1
    );
    assert_eq!(said[4], ("ERROR", "[threw an object] [function without a name]"));
    assert_eq!(said[5], ("INFO", "{name: \"c\", self: [itself]} a\u{fffd}b\u{fffd}[31m"));
    let fields = &lines[1]["fields"];
    assert_eq!((&fields["class"], &fields["method"]), (&"Talker".into(), &"talk".into()));
    assert_eq!(fields["id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn the_token_of_a_visitor_is_in_no_line() {
    let log = Log::default();
    let _listening = log.listen();
    let text = r#"
import { OutgoingMessage } from "callgate";
export default class Gossip {
  async mint(request, session) {
    const token = await session.createOTP();
    console.log(token, `x${token}`, { token }, [token], new Error(token), session, request);
    console.error(await session.createCallbackURL("/Gossip/mint"));
    return new OutgoingMessage().setBody(token);
  }
  look(request, session) {
    console.log(request.url, request.urlQuery, request.headers, request, session);
    throw new Error(`no ${request.url}`);
  }
}"#;
    let stage = Stage::with(environment(), "Gossip", text).await;
    let visitor = stage.visitor();
    let token = visitor.get("mint").await.text();
    let cookie = visitor.client.cookie("4DSID_callgate").unwrap();
    stage.visitor().client.plant("4DSID_callgate", &cookie);
    assert_eq!(visitor.get(&format!("look?$4DSID={token}")).await.status, 500);
    let all = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.lines("script.console").len() == 3 && all.contains("script.raised"), "{all}");
    for secret in [&*token, &*cookie, &*token.to_lowercase()] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test]
async fn a_request_that_floods_the_console_is_cut_off_alone() {
    let log = Log::default();
    let _listening = log.listen();
    let limits = Budgets { console_bytes: 1_000, ..Budgets::default() };
    let text = r#"
export default class Flood {
  flood() { for (let n = 0; n < 5000; n += 1) console.log("x ".repeat(49) + "x"); }
  whisper() { console.log("fine", "y ".repeat(10_000)); }
}"#;
    let stage = Stage::with(Environment { limits, ..environment() }, "Flood", text).await;
    assert_eq!(stage.visitor().get("flood").await.status, 200);
    assert_eq!(
        (log.lines("script.console").len(), log.lines("script.console_full").len()),
        (10, 1)
    );
    assert_eq!(stage.visitor().get("whisper").await.status, 200);
    assert_eq!(log.lines("script.console_full").len(), 2, "a line of 8 KiB is more than its share");
}

#[tokio::test]
async fn a_body_that_a_class_cannot_read_is_the_callers_fault() {
    let log = Log::default();
    let _listening = log.listen();
    let text = r#"
export default class Bodies {
  json(request) { return request.getJSON(); }
  async form(request) { return (await request.getForm()).fields; }
  async later(request) { await null; return request.getJSON(); }
  caught(request) { try { return request.getJSON(); } catch (error) { return error.name; } }
  mine(request) { try { return request.getJSON(); } catch { throw new Error("of my own"); } }
}"#;
    let stage = Stage::with(environment(), "Bodies", text).await;
    let visitor = stage.visitor();
    let broken = "multipart/form-data; boundary=x";
    for (function, kind) in [
        ("json", "application/json"),
        ("later", "application/json"),
        ("form", "application/json"),
        ("form", broken),
    ] {
        let asked = visitor.call("POST", function).header("content-type", kind).body("{no");
        let answer = asked.send().await;
        let told = answer.json();
        assert_eq!((answer.status, &told["code"]), (400, &json!("bad_body")), "{function} {kind}");
        assert!(!answer.text().contains("line 1"), "why is for the log: {}", answer.text());
    }
    assert!(log.lines("script.raised").is_empty(), "no line for the class");
    let caught = visitor.call("POST", "caught").body("{no").send().await;
    assert_eq!(caught.json(), json!({"result": "SyntaxError"}));
    assert_eq!(visitor.call("POST", "mine").body("{no").send().await.status, 500);
    assert_eq!(log.lines("script.raised").len(), 1);
}

#[tokio::test]
async fn in_development_a_browser_is_shown_where_a_class_failed() {
    let text = r"export default class Fails {
  throws() {
    const nothing = null;
    return nothing.x;
  }
  async late() { await new Promise(() => {}); }
  spins() { for (;;); }
}";
    let limits = Budgets {
        cpu: std::time::Duration::from_millis(50),
        wall: std::time::Duration::from_secs(2),
        ..Budgets::default()
    };
    let stage = Stage::with(Environment { limits, ..environment() }, "Fails", text).await;
    let visitor = stage.visitor();
    let shown = async |function: &str, accept: &str| {
        visitor.call("GET", function).header("accept", accept).send().await
    };
    let page = shown("throws", "text/html").await;
    assert_eq!((page.status, page.header("content-type")), (500, "text/html; charset=utf-8"));
    for part in ["Fails.throws", "classes/Fails.js:4:", "&gt;    4 |     return nothing.x;"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let spun = shown("spins", "text/html").await;
    assert!(spun.text().contains("50ms of processor time"), "{}", spun.text());
    let late = shown("late", "text/html").await;
    assert!(late.status == 500 && late.text().contains("Fails.late"), "{}", late.text());
    let program = shown("throws", "application/json").await;
    assert!(program.json()["__ERROR"].is_array(), "{}", program.text());
}
