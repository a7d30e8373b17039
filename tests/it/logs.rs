//! What the log says of requests, of proxies that nobody named, and of what may mislead a reader.

use std::net::IpAddr;

use callgate::Settings;
use callgate::http::hosts::HostRule;
use callgate::http::proxies::TrustedProxies;
use callgate::settings::PublicOrigin;
use serde_json::Value;
use serde_json::json;

use crate::support::House;
use crate::support::log::Log;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;

fn request(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n")
}

#[tokio::test]
async fn an_access_line_says_what_answered_and_why_it_failed() {
    let silent = Upstream::with(async |_, _| std::future::pending().await).await;
    let rows = format!(
        r#"{{ "forward": "http://{}/base", "pattern": "up", "limits": {{ "timeoutMs": 50 }} }}"#,
        silent.address
    );
    let house = House::with_rows(settings(), &rows).await;
    let (log, capture) = Log::capture();
    house.visitor().get("/whoami").send().await;
    assert_eq!(house.visitor().get("/up").send().await.status, 504);
    house.visitor().get("/nowhere").send().await;
    drop(capture);
    let lines = log.of("request");
    assert_eq!(lines[0]["handler"], json!("Probe.whoami"));
    assert!(lines[1]["handler"].as_str().unwrap().contains(&silent.address.to_string()));
    let cause = lines[1]["cause"].as_str().unwrap();
    assert!(cause.contains("50 ms") && cause.contains("timeoutMs"), "{cause}");
    assert_eq!(lines[2]["handler"], Value::Null);
}

#[tokio::test]
async fn a_page_that_asks_is_logged_as_what_it_is() {
    let house = House::open(settings()).await;
    let desk = house.visitor();
    let (token, phone) = (desk.mint("").await, house.visitor());
    let member = house.visitor();
    member.get("/login?privileges=admin&user=Ann").send().await;
    let (log, capture) = Log::capture();
    let page = phone.asked("/foreign", &token).await;
    member.asked("/share", &token).await;
    page.press(&phone).send().await;
    phone.get("/whoami").send().await;
    drop(capture);
    let words: Vec<_> = log.of("request").iter().map(|line| line["otp"].clone()).collect();
    assert_eq!(words, ["askFirst", "askFirst", "restored", "absent"]);
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_named_with_the_setting() {
    let hosts = vec![HostRule::parse("shop.example").unwrap()];
    let house = House::open(Settings { hosts, ..settings() }).await;
    let (log, capture) = Log::capture();
    let ask = |accept: &'static str| {
        house.visitor().get("/whoami").header("host", "callgate_backend").header("accept", accept)
    };
    let page = ask("text/html").send().await;
    assert_eq!(page.status, 421);
    assert!(page.text().contains("setting hosts") && !page.text().contains("callgate_backend"));
    assert!(ask("*/*").send().await.json()["detail"].as_str().unwrap().contains("setting hosts"));
    drop(capture);
    let cause = log.of("request")[0]["cause"].clone();
    assert_eq!(cause, json!("the host callgate_backend is not listed in the setting hosts"));
}

#[tokio::test]
async fn a_proxy_without_a_public_origin_is_told_once() {
    let (log, capture) = Log::capture();
    let served = Served::start(settings()).await;
    let forwarded = request("/url?path=/whoami", "X-Forwarded-Proto: https\r\n");
    for _ in 0..3 {
        assert_eq!(served.ask(&forwarded).await.status, 200);
    }
    let told = log.of("proxy.no_public_origin");
    assert_eq!(told.len(), 2, "of the proxy, and of the link: {told:?}");
    assert_eq!(told[1]["host"], json!("shop.test"));
    assert_eq!(told[1]["link"], json!(served.public.to_string()));
    let origin = PublicOrigin::parse("https://shop.test").ok();
    let named = Served::start(Settings { public_origin: origin, ..settings() }).await;
    assert_eq!(named.ask(&forwarded).await.status, 200);
    let plain = Served::start(settings()).await;
    let own = format!("GET /url?path=/whoami HTTP/1.1\r\nHost: {}\r\n\r\n", plain.public);
    assert_eq!(plain.ask(&own).await.status, 200);
    drop(capture);
    assert_eq!(log.of("proxy.no_public_origin").len(), 2);
}

/// Settings under which nobody may do this more than twice.
fn tight(change: impl FnOnce(&mut callgate::http::rates::Rules)) -> Settings {
    let mut settings = Settings { rate_limits: true, ..settings() };
    change(&mut settings.rates);
    settings
}

#[tokio::test]
async fn every_limit_says_that_a_proxy_may_have_been_forgotten() {
    let limits = [
        ("/whoami", tight(|it| (it.requests_per_sec, it.requests_burst) = (1, 2))),
        ("/write?key=a&value=1", tight(|it| (it.guests_per_min, it.guests_burst) = (1, 2))),
        ("/mint", tight(|it| (it.mints_per_min, it.mints_burst) = (1, 2))),
        (
            "/whoami?$4DSID=00000000000000000000000000000000",
            tight(|it| (it.failures_per_min, it.failures_burst) = (1, 2)),
        ),
    ];
    for (target, settings) in limits {
        for (trusted, told) in [(false, 1), (true, 0)] {
            let peer: IpAddr = [127, 0, 0, 1].into();
            let proxies = if trusted { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
            let trusted_proxies = TrustedProxies::new(proxies);
            let (log, capture) = Log::capture();
            let served = Served::start(Settings { trusted_proxies, ..settings.clone() }).await;
            for _ in 0..4 {
                let mut wire = served.connect().await;
                wire.send(request(target, "X-Forwarded-For: 203.0.113.5\r\n")).await;
                wire.answer_to(target.contains("$4DSID")).await;
            }
            drop(capture);
            let hints = log.of("rate.untrusted_proxy");
            assert_eq!(hints.len(), told, "{target}: {}", log.text());
            assert!(hints.iter().all(|hint| hint["peer"] == json!(peer.to_string())));
            assert_eq!(log.at("ERROR"), Vec::<Value>::new(), "one client's limit is no error");
        }
    }
}

#[tokio::test]
async fn http_1_0_has_one_request_on_a_connection() {
    let served = Served::start(settings()).await;
    for fields in ["", "Connection: keep-alive\r\n"] {
        let mut wire = served.connect().await;
        let ask = format!("GET /whoami HTTP/1.0\r\nHost: x\r\n{fields}\r\n");
        wire.send(&ask).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 200);
        assert!(!answer.header("connection").contains("keep-alive"), "{fields}");
        assert_eq!(wire.rest().await, "", "{fields}");
    }
}

#[tokio::test]
async fn another_callgate_on_the_same_host_is_told_once() {
    let (house, other) = (House::open(settings()).await, House::open(settings()).await);
    let foreign = other.visitor();
    foreign.session().await;
    let (log, capture) = Log::capture();
    for (value, told) in
        [("planted".to_owned(), 0), (foreign.cookie().unwrap(), 1), (foreign.cookie().unwrap(), 1)]
    {
        let visitor = house.visitor();
        visitor.plant(&value);
        visitor.session().await;
        assert_eq!(log.of("session.cookie_foreign").len(), told);
    }
    drop(capture);
}
