//! The operator's view on the internal listener: what it shows, whom it lets in, what it ends.

use callgate::Settings;
use callgate::base::Clock;
use callgate::base::Timestamp;
use callgate::base::secret::SecretText;
use callgate::gate::Answer;
use callgate::session::Keyring;
use callgate::store::port::OperationKind;
use serde_json::Value;
use serde_json::json;

use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::Served;
use crate::support::wire::Wire;

const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";
const OTHER_KEY: &str = "0ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";

/// What an application keeps in a session, and no operator may see.
const VALUE: &str = "a_value_that_is_nobodys_business";

/// Settings whose keys are given, so that somebody can hold one.
fn keyed() -> Settings {
    Settings { keys: vec![SecretText::new(KEY.to_owned())], ..settings() }
}

/// What an operator shows with a request, who holds this key for this application.
fn credential((app, key): (&str, &str), line: &str, now: Timestamp) -> String {
    let ring = Keyring::read(app, &[SecretText::new(key.to_owned())]).unwrap();
    ring.operator(line.split_once(' ').unwrap(), now).expose().to_owned()
}

/// A gate with keys, and an operator who holds them.
struct Watched {
    served: Served,
}

impl Watched {
    async fn start() -> Self {
        Self::start_with(keyed()).await
    }

    async fn start_with(settings: Settings) -> Self {
        let served = Served::start(settings).await;
        served.house.ledger.add(KEY);
        Self { served }
    }

    /// One request with these further header lines.
    async fn send(&self, line: &str, headers: &str) -> Answer {
        send(&mut self.served.connect_inside().await, line, headers).await
    }

    /// What the operator shows with a request.
    fn right(&self, line: &str) -> String {
        let right = credential(("callgate", KEY), line, self.served.house.clock.now());
        self.served.house.ledger.add(&right);
        right
    }

    /// The same as a header line.
    fn shown(&self, line: &str) -> String {
        format!("Authorization: Callgate {}\r\n", self.right(line))
    }

    /// One request of the operator. Whatever it is answered holds no secret.
    async fn operate(&self, line: &str) -> Answer {
        let shown = format!("Host: localhost\r\n{}", self.shown(line));
        let answer = self.send(line, &shown).await;
        let told = format!("{:?}{}", answer.headers, answer.text());
        assert!(!self.served.house.ledger.is_told_in(&told), "{told}");
        assert!(!told.contains(VALUE), "{told}");
        answer
    }

    async fn show(&self, target: &str) -> Value {
        let answer = self.operate(&format!("GET {target}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    }
}

async fn send(wire: &mut Wire, line: &str, headers: &str) -> Answer {
    wire.send(format!("{line} HTTP/1.1\r\n{headers}\r\n")).await;
    wire.answer().await
}

#[tokio::test]
async fn an_operator_sees_who_is_there_and_no_secret() {
    let watched = Watched::start().await;
    let visitor = watched.served.house.visitor();
    let id = visitor.write("cart", VALUE).await;
    visitor.get("/login?privileges=admin,staff&user=ada").send().await;
    let token = visitor.mint("for=Probe.whoami&mode=context").await;
    watched.served.house.ledger.add(&visitor.cookie().unwrap());
    watched.served.house.wait_secs(60);

    let listed = &watched.show("/sessions").await["sessions"][0];
    assert_eq!(listed["id"], id);
    assert_eq!((&listed["user"], &listed["guest"]), (&json!("ada"), &json!(false)));
    assert_eq!(listed["privileges"], json!(["admin", "staff"]));
    assert_eq!(listed["seen"], "2026-01-01T00:00:00.000Z");
    assert_eq!(listed["expires"], "2026-01-01T01:00:00.000Z");

    let whole = watched.show(&format!("/sessions/{id}")).await;
    // Its name, its value in quotes.
    assert_eq!(whole["storage"], json!([{ "key": "cart", "bytes": 34 }]));
    assert_eq!(whole["devices"].as_array().unwrap().len(), 1);
    assert_eq!(whole["devices"][0]["id"].as_str().unwrap().len(), 16);
    let tokens = whole["tokens"].as_array().unwrap();
    assert_eq!((tokens.len(), &whole["tokensComplete"]), (1, &json!(true)));
    assert_eq!(tokens[0]["handlers"], json!(["Probe.whoami"]));
    assert_eq!((&tokens[0]["mode"], &tokens[0]["session"]), (&json!("context"), &json!(id)));
    assert_eq!(watched.show("/tokens").await["tokens"], whole["tokens"]);
    // To look counts neither as a use of the session nor of the token.
    assert_eq!(watched.show("/sessions").await["sessions"][0]["seen"], listed["seen"]);
    assert_eq!(outcome(&visitor.call_back("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_name_that_may_be_a_secret_is_not_shown() {
    let watched = Watched::start().await;
    let visitor = watched.served.house.visitor();
    let token = visitor.mint("").await;
    // An application that keeps its tokens by their text.
    let id = visitor.get(&format!("/write?key=waiting/{token}&value=1")).no_token_here();
    let id = id.send_unchecked().await.json()["result"].as_str().unwrap().to_owned();
    assert_eq!(watched.show(&format!("/sessions/{id}")).await["storage"][0]["key"], "waiting/*");
}

#[tokio::test]
async fn an_ended_session_is_gone_for_its_browsers_and_tokens() {
    let watched = Watched::start().await;
    let visitor = watched.served.house.visitor();
    let id = visitor.write("cart", "full").await;
    let token = visitor.mint("").await;
    let ended = watched.operate(&format!("DELETE /sessions/{id}")).await;
    assert_eq!((ended.status, ended.json()), (200, json!({ "ended": id })));
    assert_ne!(visitor.id().await, id);
    assert_eq!(outcome(&visitor.follow("/whoami", &token).await), "sessionGone");
    for line in [format!("DELETE /sessions/{id}"), format!("GET /sessions/{id}")] {
        let again = watched.operate(&line).await;
        assert_eq!((again.status, &again.json()["code"]), (404, &json!("not_found")), "{line}");
    }
}

#[tokio::test]
async fn a_revoked_token_restores_nothing_and_its_session_lives() {
    let (log, _capture) = Log::capture();
    let watched = Watched::start().await;
    let visitor = watched.served.house.visitor();
    let id = visitor.write("cart", "full").await;
    let (token, other) = (visitor.mint("").await, visitor.mint("lifespan=20").await);
    let tokens = watched.show("/tokens").await["tokens"].as_array().unwrap().clone();
    let longer = tokens.iter().max_by_key(|token| token["expires"].as_str()).unwrap();
    let name = longer["id"].as_str().unwrap();
    let revoked = watched.operate(&format!("DELETE /tokens/{name}")).await;
    assert_eq!((revoked.status, revoked.json()), (200, json!({ "revoked": name })));
    assert_eq!(watched.operate(&format!("DELETE /tokens/{name}")).await.status, 404);
    let stranger = watched.served.house.visitor();
    assert_ne!(outcome(&stranger.follow("/whoami", &token).await), "restored");
    assert_eq!(outcome(&stranger.follow("/whoami", &other).await), "restored");
    assert_eq!(visitor.id().await, id);
    log.has(&["token.revoked"]);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let watched = Watched::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(watched.served.house.visitor().write("k", "v").await);
    }
    ids.sort();
    let mut seen = Vec::new();
    let mut target = "/sessions?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = watched.show(&target).await;
        let entries = page["sessions"].as_array().unwrap();
        assert!(entries.len() <= 2);
        seen.extend(entries.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/sessions?limit=2&after={next}");
    }
    assert_eq!((seen, pages), (ids, 3));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let watched = Watched::start().await;
    for target in [
        "/sessions?limit=0",
        "/sessions?limit=1001",
        "/sessions?limit=many",
        "/sessions?after=x",
        "/sessions?user=ada",
        "/sessions/x",
        "/sessions/0123456789ABCDEF",
        "/tokens?after=0123456789ABCDEF0123456789ABCDEF",
    ] {
        let answer = watched.operate(&format!("GET {target}")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("bad_request")),
            "{target}"
        );
    }
    let id = "0123456789ABCDEF";
    for (line, allow) in [
        ("POST /sessions".to_owned(), "GET, HEAD"),
        ("DELETE /tokens".to_owned(), "GET, HEAD"),
        (format!("POST /sessions/{id}{id}"), "GET, HEAD, DELETE"),
        (format!("GET /tokens/{id}"), "DELETE"),
    ] {
        let answer = watched.operate(&line).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{line}");
    }
    for target in ["/sessions/", "/sessionsx", "/tokens/0123456789ABCDEF/x", "/"] {
        let status = watched.operate(&format!("GET {target}")).await.status;
        assert!([400, 404].contains(&status), "{target}: {status}");
    }
}

#[tokio::test]
async fn without_the_credential_nobody_sees_or_ends_anything() {
    let (log, _capture) = Log::capture();
    let watched = Watched::start().await;
    let id = watched.served.house.visitor().write("k", "v").await;
    let end = format!("DELETE /sessions/{id}");
    let lines = ["GET /sessions", &end, "GET /tokens"];
    let shows = |shown: &str| format!("Authorization: Callgate {shown}\r\n");
    for line in lines {
        let (now, right) = (watched.served.house.clock.now(), watched.right(line));
        let mac = right.split_once('.').unwrap().1;
        let other = lines.iter().find(|other| **other != line).unwrap();
        for headers in [
            String::new(),
            shows(""),
            shows(mac),
            shows(&right[..right.len() - 1]),
            shows(&format!("{right}0")),
            shows(&watched.right(other)),
            shows(&credential(("callgate", KEY), line, now.after_secs(180))),
            shows(&credential(("callgate", OTHER_KEY), line, now)),
            shows(&credential(("shop", KEY), line, now)),
            shows(KEY),
            format!("Authorization: Basic {right}\r\n"),
            format!("Authorization: Bearer {right}\r\n"),
            format!("Authorization: {right}\r\n"),
            shows(&right) + &shows(&right),
            format!("Cookie: operator={right}\r\n"),
        ] {
            let answer = watched.send(line, &format!("Host: localhost\r\n{headers}")).await;
            assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("credential")));
            // The keys are in no file.
            assert_eq!(answer.header("www-authenticate"), "Callgate app=\"callgate\"");
            assert!(answer.headers.get("access-control-allow-origin").is_none());
        }
    }
    assert_eq!(watched.served.house.stored().await.len(), 1);
    let right = watched.right("GET /sessions");
    let lower = format!("Host: localhost\r\nauthorization: callgate {right}\r\n");
    assert_eq!(watched.send("GET /sessions", &lower).await.status, 200);
    log.has(&["operator.refused"]);
}

#[tokio::test]
async fn a_browser_is_refused_whatever_it_shows() {
    let watched = Watched::start().await;
    for browser in [
        "Origin: http://localhost\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
    ] {
        for line in ["GET /sessions", "OPTIONS /sessions", "DELETE /tokens/0123456789ABCDEF"] {
            let right = watched.shown(line);
            let answer = watched.send(line, &format!("Host: localhost\r\n{right}{browser}")).await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (403, &json!("browser")),
                "{browser}"
            );
        }
        let live = watched.send("GET /livez", &format!("Host: localhost\r\n{browser}")).await;
        assert_eq!(live.status, 200, "health is open");
    }
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_machine_is_refused() {
    let watched = Watched::start().await;
    let right = watched.shown("GET /sessions");
    let own = watched.served.internal.to_string();
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:8045", 200),
        ("[::1]:8045", 200),
        (own.as_str(), 200),
        ("evil.example", 421),
        ("evil.example:8045", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 200),
    ] {
        let answer = watched.send("GET /sessions", &format!("Host: {host}\r\n{right}")).await;
        assert_eq!(answer.status, status, "{host}");
    }
    let two = format!("Host: localhost\r\nHost: localhost\r\n{right}");
    assert_eq!(watched.send("GET /sessions", &two).await.status, 421);
    assert_eq!(watched.send("GET /sessions", &right).await.status, 421, "no host at all");
    let absolute = "GET http://evil.example/sessions";
    let answer = watched.send(absolute, &format!("Host: localhost\r\n{right}")).await;
    assert_eq!(answer.status, 421, "the address of the request counts");
}

#[tokio::test]
async fn who_guesses_is_told_to_wait_and_the_operator_is_not() {
    let watched = Watched::start_with(Settings { rate_limits: true, ..keyed() }).await;
    let wrong = format!("Host: localhost\r\nAuthorization: Callgate {OTHER_KEY}\r\n");
    for _ in 0..10 {
        assert_eq!(watched.send("GET /sessions", &wrong).await.status, 401);
    }
    let eleventh = watched.send("GET /sessions", &wrong).await;
    assert_eq!((eleventh.status, eleventh.header("retry-after")), (429, "60"));
    watched.show("/sessions").await;
    watched.served.house.wait_secs(60);
    assert_eq!(watched.send("GET /sessions", &wrong).await.status, 401);
    let off = Served::start(Settings { rate_limits: false, ..keyed() }).await;
    for _ in 0..12 {
        let answer = send(&mut off.connect_inside().await, "GET /sessions", &wrong).await;
        assert_eq!(answer.status, 401, "rate limits are off");
    }
}

#[tokio::test]
async fn keys_that_nobody_can_hold_let_nobody_in() {
    for inside in ["127.0.0.1:0", "0.0.0.0:0"] {
        let served = Served::start_inside(settings(), inside).await;
        served.house.visitor().write("a", "1").await;
        let own = "Host: 127.0.0.1\r\n";
        for line in ["GET /sessions", "GET /tokens", "DELETE /sessions/x"] {
            let answer = send(&mut served.connect_inside().await, line, own).await;
            assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("closed")), "{line}");
        }
        let ready = send(&mut served.connect_inside().await, "GET /readyz", own).await;
        assert_eq!(ready.status, 200);
    }
}

#[tokio::test]
async fn the_internal_listener_answers_addresses_localhost_and_listed_names_only() {
    let internal_hosts = vec!["callgate.internal".to_owned()];
    let watched = Watched::start_with(Settings { internal_hosts, ..keyed() }).await;
    for (host, answered) in [
        ("localhost", true),
        ("LOCALHOST:1", true),
        ("127.0.0.1:8045", true),
        ("10.1.2.3", true),
        ("[::1]:8045", true),
        ("[2001:db8::1]", true),
        ("Callgate.Internal:8045", true),
        ("rebound.example", false),
        ("localhost.rebound.example", false),
        ("callgate.internal.example", false),
        ("127.0.0.1.rebound.example", false),
        ("2130706433", false),
        ("", false),
        ("localhost\r\nHost: localhost", false),
    ] {
        for line in ["GET /livez", "GET /readyz", "GET /sessions", "GET /session", "GET /nowhere"] {
            let shown = watched.shown(line);
            let answer = watched.send(line, &format!("Host: {host}\r\n{shown}")).await;
            assert_eq!(answer.status == 421, !answered, "{line} {host:?}: {}", answer.status);
            if !answered {
                assert_eq!(answer.json()["code"], json!("wrong_host"));
            }
        }
    }
    let mut old = watched.served.connect_inside().await;
    old.send("GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.status, 200, "as probes of balancers ask");
}

#[tokio::test]
async fn readyz_tells_details_to_operators_only() {
    let watched = Watched::start().await;
    watched.served.house.cut_off(&[OperationKind::SelfCheck]);
    let own = "Host: localhost\r\n";
    let told = watched.send("GET /readyz", own).await;
    assert_eq!((told.status, &told.json()["store"]), (503, &json!({ "ok": false })));
    let other =
        credential(("callgate", OTHER_KEY), "GET /readyz", watched.served.house.clock.now());
    let forged = format!("{own}Authorization: Callgate {other}\r\n");
    let told = watched.send("GET /readyz", &forged).await;
    assert_eq!(told.json()["store"], json!({ "ok": false }));
    let shown = format!("{own}{}", watched.shown("GET /readyz"));
    let told = watched.send("GET /readyz", &shown).await;
    assert!(
        told.json()["store"]["why"].as_str().unwrap().contains("did not answer"),
        "{}",
        told.text()
    );
}

#[tokio::test]
async fn the_public_listener_knows_no_operator() {
    let watched = Watched::start().await;
    for target in ["/sessions", "/tokens", "/sessions?limit=1"] {
        let shown = watched.shown(&format!("GET {target}"));
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{shown}\r\n");
        assert_eq!(watched.served.ask(&request).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_told_from_a_session_that_is_not_there() {
    let (log, _capture) = Log::capture();
    let watched = Watched::start().await;
    let visitor = watched.served.house.visitor();
    let id = visitor.write("k", "v").await;
    let token = visitor.mint("").await;
    watched.served.house.cut_off(&[
        OperationKind::Sessions,
        OperationKind::Look,
        OperationKind::End,
        OperationKind::Tokens,
        OperationKind::Revoke,
    ]);
    for line in [
        "GET /sessions",
        &format!("GET /sessions/{id}"),
        &format!("DELETE /sessions/{id}"),
        "GET /tokens",
        "DELETE /tokens/0123456789ABCDEF",
    ] {
        let answer = watched.operate(line).await;
        assert_eq!(answer.status, 503, "{line}");
        assert_eq!(answer.json()["code"], "store_unavailable");
        assert!(!answer.text().contains("lost"), "no inner text: {}", answer.text());
    }
    watched.served.house.store.heal();
    let target = with_token("/whoami", &token);
    let answer = visitor.get(&target).as_browser().send().await;
    assert_eq!((outcome(&answer), visitor.id().await), ("restored", id));
    log.has(&["operator.failed"]);
}
