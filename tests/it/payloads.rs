//! What a handler or a link could be talked into: leading elsewhere, or writing past its header.

use callgate::OutgoingMessage;
use callgate::settings::PublicOrigin;
use callgate::settings::Settings;
use callgate::table::Table;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use url::Url;

use crate::support::House;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::Served;

const ORIGIN: &str = "https://shop.example";

/// Where attackers have sent browsers by what looked like a path (docs/SECURITY.md T33).
const ELSEWHERE: [&str; 64] = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "//\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\u{0}/evil.example",
    "/\u{b}/evil.example",
    "/\u{7f}/evil.example",
    "http://evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "http:evil.example",
    "ftp://evil.example",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "javascript://shop.example/%0aalert(1)",
    "\u{1}javascript:alert(1)",
    "data:text/html,evil",
    "vbscript:evil",
    "file:///etc/passwd",
    "blob:https://evil.example/1",
    "https://shop.example@evil.example",
    "https://shop.example:443@evil.example",
    "//shop.example@evil.example",
    "//shop.example.evil.example",
    "https://shop.example.evil.example",
    "https://shop.example%2eevil.example",
    "https://shop.example\\.evil.example",
    "https://evil.example#shop.example",
    "https://evil.example?shop.example",
    "https://evil.example/https://shop.example",
    "//evil%00.example",
    "//evil\u{3002}example",
    "/\u{2215}evil.example",
    "/\u{ff0f}evil.example",
    "\u{ff0f}\u{ff0f}evil.example",
    "//[::1]",
    "//127.0.0.1",
    "//2130706433",
    "//evil.example:80",
    "//evil.example%2f..",
    ".evil.example",
    "@evil.example",
    ":80@evil.example",
    "?//evil.example",
    "#//evil.example",
    "../..//evil.example",
    "/..//evil.example",
    "/.//evil.example",
    "evil.example",
];

/// Whether a browser on a page of ours that is sent there stays with us.
fn stays(location: &str) -> bool {
    let page = Url::parse(ORIGIN).unwrap().join("/a/b?c").unwrap();
    page.join(location).is_ok_and(|url| url.origin() == page.origin())
}

#[test]
fn no_row_sends_who_is_refused_to_another_site() {
    let mut refused = 0;
    for payload in ELSEWHERE {
        let row = serde_json::json!([{
            "class": "A", "method": "b", "pattern": "c", "otp": { "onRefused": { "redirect": payload } }
        }]);
        match Table::read("handlers.json", &row.to_string()) {
            Ok(_) => assert!(stays(payload), "{payload:?}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= 55, "only {refused} of {} are refused", ELSEWHERE.len());
}

#[tokio::test]
async fn an_address_without_its_token_stays_on_this_site() {
    let house = House::open(settings()).await;
    let mut stripped = 0;
    for payload in ELSEWHERE {
        let coded = utf8_percent_encode(payload, NON_ALPHANUMERIC).to_string();
        for path in [
            format!("/strip{payload}"),
            format!("/strip/{payload}"),
            format!("/strip/{coded}"),
            format!("//strip//{payload}"),
            format!("///strip?next={payload}"),
            format!("/strip?next={coded}"),
        ] {
            let token = house.visitor().mint("").await;
            let target = with_token(&path, &token);
            // What is no target of a request cannot be asked for.
            if !target.starts_with('/') || target.parse::<hyper::Uri>().is_err() {
                continue;
            }
            let answer = house.visitor().get(&target).as_browser().send_unchecked().await;
            let location = answer.header("location");
            assert!(answer.status == 303 || location.is_empty(), "{path:?}: {}", answer.status);
            if answer.status == 303 {
                stripped += 1;
                assert!(stays(location) && !location.contains(&token), "{path:?}: {location}");
            }
        }
    }
    assert!(stripped >= 120, "only {stripped} were sent on");
}

#[tokio::test]
async fn no_path_makes_a_callback_url_of_another_site() {
    let public_origin = PublicOrigin::parse(ORIGIN).ok();
    let house = House::open(Settings { public_origin, ..settings() }).await;
    let mut made = 0;
    for payload in ELSEWHERE {
        let coded = utf8_percent_encode(payload, NON_ALPHANUMERIC);
        let answer = house.visitor().get(&format!("/url?path={coded}")).send().await;
        if answer.status == 200 {
            made += 1;
            let url = Url::parse(&answer.text()).unwrap();
            assert_eq!(url.origin().ascii_serialization(), ORIGIN, "{payload:?}");
        } else {
            assert_eq!(answer.status, 500, "{payload:?}");
        }
    }
    assert!(made <= 10, "{made} of {} are taken for paths", ELSEWHERE.len());
}

/// Where a handler sends the browser is the application's own decision, such as to a payment
/// page; what it must not do is write more than one header field.
#[test]
fn a_redirect_of_a_handler_is_one_field_or_none() {
    for payload in ELSEWHERE {
        if let Ok(message) = OutgoingMessage::redirect(payload) {
            let fields: Vec<_> = message.headers().iter().collect();
            assert_eq!(fields.len(), 1, "{payload:?}");
            assert_eq!(fields[0].1.as_bytes(), payload.as_bytes());
        }
    }
}

/// Header fields by which answers have been split, ended and doubled (docs/SECURITY.md T41).
const FIELDS: [(&str, &str); 48] = [
    ("X-A", "a\r\nSet-Cookie: b=c"),
    ("X-A", "a\nSet-Cookie: b=c"),
    ("X-A", "a\rSet-Cookie: b=c"),
    ("X-A", "a\r\n\r\n<html>"),
    ("X-A", "a\n\n<html>"),
    ("X-A", "a\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK"),
    ("X-A", "a\r\n b"),
    ("X-A", "\r\n"),
    ("X-A", "\n"),
    ("X-A", "\r"),
    ("X-A", "a\0b"),
    ("X-A", "a\u{b}b"),
    ("X-A", "a\u{c}b"),
    ("X-A", "a\u{1b}[2J"),
    ("X-A", "a\u{7f}b"),
    ("X-A", "a\u{85}b"),
    ("X-A", "a\u{2028}b"),
    ("X-A", "\u{560a}\u{560d}Set-Cookie: b=c"),
    ("X-A", "caf\u{e9}"),
    ("X-A: b\r\nX-B", "c"),
    ("X-A\r\n", "c"),
    ("X-A\n", "c"),
    ("X-A:", "c"),
    ("X-A ", "c"),
    (" X-A", "c"),
    ("X A", "c"),
    ("X-A\0", "c"),
    ("X-\u{e9}", "c"),
    ("", "c"),
    (":status", "302"),
    ("Location", "/a\r\nSet-Cookie: b=c"),
    ("Location", "/a\nX: b"),
    ("Content-Type", "text/html\r\n\r\n<script>"),
    ("Set-Cookie", "a=b\r\nSet-Cookie: 4DSID_callgate=c"),
    ("Set-Cookie", "a=b\nX-B: c"),
    ("Set-Cookie", "a=\u{0}"),
    ("Content-Length", "0"),
    ("content-length", "999"),
    ("Transfer-Encoding", "chunked"),
    ("TRANSFER-ENCODING", "identity"),
    ("Connection", "close"),
    ("Connection", "upgrade"),
    ("Keep-Alive", "timeout=9"),
    ("Upgrade", "h2c"),
    ("Trailer", "X-A"),
    ("Date", "now"),
    ("Transfer-Encoding", "chunked\r\n\r\n0\r\n\r\n"),
    ("X-A", "a\r\n\tb"),
];

#[tokio::test]
async fn no_header_of_a_handler_ends_its_answer_or_begins_another() {
    let served = Served::start(settings()).await;
    let mut wire = served.connect().await;
    for (name, value) in FIELDS {
        let coded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let target = format!("/say?body=x&header={}&value={}", coded(name), coded(value));
        let answer = wire.get(&target).await;
        assert_eq!(answer.status, 500, "{name:?}: {value:?} was taken: {:?}", answer.headers);
        assert!(answer.json()["__ERROR"].is_array());
        assert_eq!(answer.headers.get("set-cookie"), None, "{name:?}: {value:?}");
        let next = wire.get("/say?body=next").await;
        assert_eq!((next.status, next.text()), (200, "next".to_owned()), "{name:?}: {value:?}");
    }
    for (name, value) in [("X-A", "a\tb c"), ("Location", "https://pay.example/x?y=z"), ("X_A", "")]
    {
        let coded = utf8_percent_encode(value, NON_ALPHANUMERIC);
        let answer = wire.get(&format!("/say?body=x&header={name}&value={coded}")).await;
        assert_eq!((answer.status, answer.header(name)), (200, value));
    }
}
