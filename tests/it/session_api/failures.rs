//! Every way in which the session API says that it fails, provoked.

use std::time::Duration;

use callgate::Settings;
use callgate::gate::Answer;
use callgate::http::rates::Rules;
use callgate::store::port::OperationKind;

use crate::support::lent::Upstream;
use crate::support::log::Log;
use crate::support::settings;
use crate::support::wire::Wire;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Limits of which everybody reaches the end at the second step.
fn narrow() -> Settings {
    let rates = Rules {
        failures_per_min: 1,
        failures_burst: 1,
        session_mints_per_min: 1,
        session_mints_burst: 1,
        all_guests_per_sec: 1,
        all_guests_burst: 1,
        ..Rules::default()
    };
    let mut settings = Settings { rate_limits: true, rates, ..settings() };
    settings.limits.body_gap = Duration::from_millis(100);
    settings
}

/// A request that came over a connection and is under way.
struct Stage {
    upstream: Upstream,
    visiting: Wire,
    cookie: String,
    capability: String,
}

impl Stage {
    /// What a call needs in order to fail with this code: a visitor of whom something is stored,
    /// or of whom nothing is; a handler that has written nothing, or too much.
    async fn set(line: &str, code: &str) -> Self {
        let upstream = Upstream::start(narrow()).await;
        let mut visiting = upstream.served.connect().await;
        // The one session that may be begun is his, or somebody else's.
        let first = visiting.get("/write?key=cart&value=full").await;
        let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
        let shown = if code == "too_many_guests" { "a=b" } else { cookie.as_str() };
        let head = format!("Host: gate.test\r\nCookie: {shown}\r\n\r\n");
        let too_much = code == "session_full" && line == "POST /session/otp";
        let target = match code {
            // Whoever comes without the headers of a browser is let in by a context of `auto`.
            "contextMayNotGain" => {
                let mint = format!("GET /mint HTTP/1.1\r\n{head}");
                let token = upstream.served.ask(&mint).await.text();
                format!("/lend?$4DSID={token}")
            }
            _ if too_much => "/lend?keys=257".to_owned(),
            _ => "/lend".to_owned(),
        };
        let head = if code == "contextMayNotGain" { "Host: gate.test\r\n\r\n" } else { &head };
        visiting.send(format!("GET {target} HTTP/1.1\r\n{head}")).await;
        let probe = &upstream.served.house.probe;
        probe.arrival().await;
        let capability = probe.lent().pop().unwrap();
        Self { upstream, visiting, cookie, capability }
    }

    async fn send(&self, line: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let own = ("X-Callgate-Capability", self.capability.as_str());
        self.upstream.send(line, &[&[own], more].concat(), body).await
    }

    /// A request whose body does not come as it should.
    async fn send_broken(&self, line: &str, rest: &str) -> Answer {
        let mut wire = self.upstream.served.connect_inside().await;
        let capability = &self.capability;
        let head = format!("Host: localhost\r\nX-Callgate-Capability: {capability}\r\n{rest}");
        wire.send(format!("{line} HTTP/1.1\r\n{head}")).await;
        let answer = wire.answer().await;
        self.upstream.check(line, &answer);
        answer
    }

    /// Has another request of the visitor end the session.
    async fn log_out(&self) {
        let request =
            format!("GET /logout HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n\r\n", self.cookie);
        assert_eq!(self.upstream.served.ask(&request).await.status, 200);
    }

    /// Has another request of the visitor put this one out.
    async fn put_out(&self) {
        let cookie = &self.cookie;
        let target = "/login?privileges=admin";
        let head = format!("Host: gate.test\r\nCookie: {cookie}\r\n\r\n");
        let signed_in = self.upstream.served.ask(&format!("GET {target} HTTP/1.1\r\n{head}")).await;
        assert_eq!(signed_in.status, 200);
    }

    /// Lets the request be answered.
    async fn answer(&mut self) {
        self.upstream.served.house.probe.door.add_permits(1);
        assert_eq!(self.visiting.answer().await.status, 200);
    }
}

/// A body with which a call would do something.
fn sound(line: &str) -> String {
    match line {
        "PATCH /session/storage" => "{\"a\":1}".to_owned(),
        "POST /session/otp" => "{}".to_owned(),
        "POST /session/restore" => format!("{{\"token\":\"{}\"}}", "0".repeat(32)),
        "PUT /session/privileges" => "\"admin\"".to_owned(),
        _ => String::new(),
    }
}

/// A body that is too much for a session.
fn too_much(line: &str) -> String {
    match line {
        "PATCH /session/storage" => {
            let keys: Vec<String> = (0..257).map(|n| format!("\"{n}\":1")).collect();
            format!("{{{}}}", keys.join(","))
        }
        "PUT /session/privileges" => {
            let names: Vec<String> = (0..129).map(|n| format!("\"p{n}\"")).collect();
            format!("[{}]", names.join(","))
        }
        _ => sound(line),
    }
}

/// Makes a call fail with this code.
async fn provoke(line: &str, code: &str) -> Answer {
    let mut stage = Stage::set(line, code).await;
    let (body, house) = (sound(line), &stage.upstream.served.house);
    match code {
        "wrong_host" => stage.send(line, &[("Host", "other.example")], "").await,
        "browser" => stage.send(line, &[("Origin", "http://localhost")], "").await,
        "capability" => stage.upstream.send(line, &[], "").await,
        "session_ended" => {
            stage.log_out().await;
            // What needs no session of its own goes on, unless the upstream itself has ended it.
            if ["DELETE /session", "POST /session/restore"].contains(&line) {
                stage.send("DELETE /session", &[], "").await;
            }
            stage.send(line, &[JSON], &body).await
        }
        "sessionReplaced" => {
            stage.put_out().await;
            stage.send(line, &[JSON], &body).await
        }
        "bad_body" => stage.send_broken(line, "Transfer-Encoding: chunked\r\n\r\nzz\r\n").await,
        "bad_json" => stage.send(line, &[JSON], "{").await,
        "body_too_slow" => stage.send_broken(line, "Content-Length: 9\r\n\r\n{").await,
        "body_too_large" => stage.send(line, &[JSON], &" ".repeat(256 * 1024 + 1)).await,
        "body_encoded" => stage.send(line, &[JSON, ("Content-Encoding", "br")], &body).await,
        "media_type" => stage.send(line, &[("Content-Type", "text/plain")], &body).await,
        "invalid" => stage.send(line, &[JSON], "7").await,
        "too_deep" => {
            let deep = format!("{{\"a\":{}1{}}}", "[".repeat(65), "]".repeat(65));
            stage.send(line, &[JSON], &deep).await
        }
        "session_full" => stage.send(line, &[JSON], &too_much(line)).await,
        "store_unavailable" => {
            house.cut_off(&[
                OperationKind::Look,
                OperationKind::Patch,
                OperationKind::Mint,
                OperationKind::Redeem,
                OperationKind::End,
            ]);
            let answer = stage.send(line, &[JSON], &body).await;
            house.store.heal();
            answer
        }
        "rate_limited" => {
            stage.send(line, &[JSON], &body).await;
            stage.send(line, &[JSON], &body).await
        }
        "answer_begun" => {
            stage.answer().await;
            stage.send(line, &[JSON], &body).await
        }
        // The body is not looked at where nothing is begun by it; the other is in how it came.
        "too_many_guests" | "contextMayNotGain" => stage.send(line, &[JSON], &body).await,
        other => panic!("nobody knows how to provoke {other:?}"),
    }
}

/// Failures that need another machine than this one: an own fault of callgate, a network, and a
/// listener whose address nobody can call back.
const OUT_OF_REACH: [&str; 3] = ["internal", "not_local", "no_public_origin"];

#[tokio::test]
async fn every_failure_of_the_description_can_be_met() {
    let (log, _capture) = Log::capture();
    let all = Upstream::start(settings()).await.failures();
    assert!(all.len() > 70, "{}", all.len());
    for (name, status) in all {
        let (line, code) = name.rsplit_once(' ').unwrap();
        if OUT_OF_REACH.contains(&code) || code == "too_many_tokens" {
            continue;
        }
        let answer = provoke(line, code).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{name}");
    }
    log.has(&["session_api.failed"]);
}

#[tokio::test]
async fn a_session_has_so_many_unspent_tokens_and_no_more() {
    let upstream = Upstream::start(settings()).await;
    let lent = upstream.lend(&upstream.visitor()).await;
    for n in 0..16 {
        assert_eq!(upstream.ask(&lent.capability, "POST /session/otp").await.status, 201, "{n}");
    }
    let answer = upstream.ask(&lent.capability, "POST /session/otp").await;
    assert_eq!((answer.status, &answer.json()["code"]), (409, &"too_many_tokens".into()));
    upstream.answer(lent).await;
}
