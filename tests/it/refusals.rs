//! What a client can see of a token that is refused, and what caches may keep of a response.

use callgate::gate::Answer;

use crate::support::House;
use crate::support::house;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

const NEVER_MINTED: &str = "2E5D0D57751D471DB29FD110D2DCE253";

/// Rows whose handler does not say what became of the token.
const ROWS: &str = r#"
    { "class": "Probe", "method": "say", "pattern": "quiet", "otp": { "mode": "share" } },
    { "class": "Probe", "method": "say", "pattern": "quiet-status",
      "otp": { "mode": "share", "onRefused": { "status": 403 } } },
    { "class": "Probe", "method": "say", "pattern": "quiet-redirect",
      "otp": { "mode": "share", "onRefused": { "redirect": "/expired" } } },
    { "class": "Probe", "method": "say", "pattern": "quiet-strip",
      "otp": { "mode": "share", "strip": true } },
    { "class": "Probe", "method": "say", "pattern": "quiet-repeat", "repeat": 60,
      "otp": { "mode": "share" } }"#;

/// Tokens that are refused, each for another reason.
async fn refused_tokens(house: &House) -> Vec<(&'static str, String)> {
    let desk = house.visitor();
    let expired = desk.mint("lifespan=10").await;
    house.wait_secs(11);
    let used = desk.mint("").await;
    house.visitor().call_back("/other", &used).await;
    let ended = house.visitor();
    let of_ended = ended.mint("").await;
    ended.get("/logout").send().await;
    vec![
        ("malformed", "no-token".to_owned()),
        ("too short", NEVER_MINTED[..31].to_owned()),
        ("unknown", NEVER_MINTED.to_owned()),
        ("expired", expired),
        ("used", used),
        ("session ended", of_ended),
        ("for another handler", desk.mint("for=Probe.other").await),
    ]
}

/// Everything that a client sees of a response, without what is random in all of them.
fn seen(answer: &Answer) -> String {
    let mut fields: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| {
            let value = value.to_str().unwrap();
            // The value of a cookie is random, its name and attributes are not.
            let value = match value.split_once('=') {
                Some((cookie, rest)) if *name == "set-cookie" => {
                    format!("{cookie}{}", rest.split_once(';').map_or("", |(_, it)| it))
                }
                _ => value.to_owned(),
            };
            format!("{name}: {value}")
        })
        .collect();
    fields.sort();
    format!("{}\n{}\n{}", answer.status, fields.join("\n"), answer.text())
}

#[tokio::test]
async fn refused_tokens_look_alike_to_a_client() {
    let house = House::with_rows(settings(), ROWS).await;
    let tokens = refused_tokens(&house).await;
    for path in ["/quiet", "/quiet-status", "/quiet-redirect", "/quiet-strip", "/quiet-repeat"] {
        for as_browser in [false, true] {
            let mut first: Option<String> = None;
            // For a repeat, a browser is given a cookie by which it is recognized. What cannot be a
            // token has no repeats; that it cannot be one, the client sees by itself.
            let is_compared = |token: &str| path != "/quiet-repeat" || token.len() == 32;
            for (why, token) in tokens.iter().filter(|(_, token)| is_compared(token)) {
                let visitor = house.visitor();
                let ask = visitor.get(&with_token(&format!("{path}?body=done"), token));
                let ask = if as_browser { ask.as_browser() } else { ask };
                let seen = seen(&ask.send().await);
                let first = first.get_or_insert_with(|| seen.clone());
                assert_eq!(&seen, first, "{path}: {why}, browser: {as_browser}");
            }
        }
    }
}

/// A request of a new browser, to a handler that allows caches to keep what it responds.
async fn cached(visitor: &Visitor, target: &str) -> Answer {
    let query = "header=cache-control&value=public,%20max-age=60";
    let join = if target.contains('?') { '&' } else { '?' };
    visitor.get(&format!("{target}{join}{query}")).as_browser().send().await
}

#[tokio::test]
async fn no_cache_keeps_a_response_with_a_cookie_or_to_a_token() {
    let house = house().await;
    let desk = house.visitor();
    let browser = house.visitor();
    let first = cached(&browser, "/say").await;
    assert!(first.headers.contains_key("set-cookie"));
    assert_eq!(first.header("cache-control"), "no-store");
    let second = cached(&browser, "/say").await;
    assert_eq!(second.headers.get("set-cookie"), None);
    assert_eq!(second.header("cache-control"), "public, max-age=60", "this one may be kept");

    let spent = desk.mint("").await;
    desk.call_back("/other", &spent).await;
    // Restored, refused, stripped, asked about, failed, and refused before any handler.
    for (path, status) in [
        ("/say", 200),
        ("/strip-say", 303),
        ("/foreign-say", 200),
        ("/fail", 500),
        ("/nowhere", 404),
        ("/admin", 401),
        ("/no-class", 500),
    ] {
        let good = desk.mint("").await;
        for token in [&*good, &*spent, NEVER_MINTED, "no-token"] {
            let answer = cached(&house.visitor(), &with_token(path, token)).await;
            let is_good = token == good;
            assert!(!is_good || answer.status == status, "{path}: {}", answer.status);
            assert_eq!(answer.header("cache-control"), "no-store", "{path} {token}");
            assert_eq!(answer.headers.get_all("cache-control").iter().count(), 1, "{path}");
        }
    }
}
