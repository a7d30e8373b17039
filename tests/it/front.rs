//! What is decided from the head of a request: hosts, clients, origins, and what every answer says.

use callgate::Settings;
use callgate::gate::Answer;
use callgate::http::hosts::HostRule;
use callgate::http::proxies::TrustedProxies;
use callgate::settings::Hsts;
use callgate::settings::PublicOrigin;
use serde_json::Value;
use serde_json::json;

use crate::support::House;
use crate::support::outcome;
use crate::support::peer::Peer;
use crate::support::peer::Said;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::Served;

/// A gate that the public knows as `https://shop.example`.
fn public() -> Settings {
    Settings { public_origin: PublicOrigin::parse("https://shop.example").ok(), ..settings() }
}

fn trusting(networks: &[&str]) -> Settings {
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    Settings { trusted_proxies: TrustedProxies::new(networks), ..settings() }
}

fn sharing(rules: &[&str]) -> Settings {
    Settings { cors: rules.iter().map(|text| text.parse().unwrap()).collect(), ..public() }
}

/// A host as a request says it, and what becomes of the request.
const VARIANTS: [(&str, u16); 46] = [
    ("shop.example", 200),
    ("SHOP.Example", 200),
    ("shop.example:443", 200),
    ("shop.example:80", 200),
    ("a.wild.example", 200),
    ("a.b.wild.example", 200),
    ("exact.example:8443", 200),
    ("localhost", 200),
    ("LOCALHOST:1", 200),
    ("app.localhost:9", 200),
    ("127.0.0.1", 200),
    ("127.255.255.254:65535", 200),
    ("[::1]", 200),
    ("[0:0:0:0:0:0:0:1]:7", 200),
    ("shop.example:81", 421),
    ("shop.example:0", 421),
    ("shop.example.", 421),
    ("xshop.example", 421),
    ("www.shop.example", 421),
    ("shop.example.evil.test", 421),
    ("evil.test", 421),
    ("exact.example", 421),
    ("exact.example:443", 421),
    ("wild.example", 421),
    ("evilwild.example", 421),
    ("xn--shp-8na.example", 421),
    ("127.1", 421),
    ("2130706433", 421),
    ("0x7f.0.0.1", 421),
    ("0.0.0.0", 421),
    ("[::]", 421),
    ("[::ffff:127.0.0.1]", 421),
    ("[fe80::1]", 421),
    ("localhost.evil.test", 421),
    ("evil.test:127.0.0.1", 400),
    ("shop.example:", 400),
    ("shop.example:http", 400),
    ("shop.example:99999", 400),
    ("user@shop.example", 400),
    ("evil.test#@shop.example", 400),
    ("shop.example/evil", 400),
    ("shop.example?x", 400),
    ("shop.example,evil.test", 400),
    ("shop.example evil.test", 400),
    ("sh%6fp.example", 400),
    ("sh\u{f6}p.example", 400),
];

#[tokio::test]
async fn no_way_to_name_a_host_changes_a_callback_url_or_reaches_a_row_it_should_not() {
    let hosts = ["*.wild.example", "exact.example:8443"];
    let hosts = hosts.iter().map(|text| HostRule::parse(text).unwrap()).collect();
    let served = Served::start(Settings { hosts, ..public() }).await;
    for (host, status) in VARIANTS {
        let more = "X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n";
        let ask = format!("GET /url?path=/whoami HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        let answer = served.ask(&ask).await;
        assert_eq!(answer.status, status, "{host}");
        match status {
            200 => {
                let url = answer.text();
                assert!(url.starts_with("https://shop.example/whoami?%244DSID="), "{host}: {url}");
            }
            421 => assert_eq!(answer.json()["code"], json!("misdirected_host"), "{host}"),
            _ => assert_eq!(answer.json()["code"], json!("bad_host"), "{host}"),
        }
    }
    // Over HTTP/2 the host is `:authority`, and `host` must say the same.
    for (authority, host, status) in [
        ("shop.example", None, 200),
        ("shop.example", Some("shop.example"), 200),
        ("shop.example", Some("evil.test"), 400),
        ("evil.test", Some("shop.example"), 400),
        ("evil.test", None, 421),
        ("user@shop.example", None, 400),
    ] {
        let own = [(":method", "GET"), (":scheme", "https"), (":path", "/whoami")];
        let hosts = [Some((":authority", authority)), host.map(|host| ("host", host))];
        let fields = own.into_iter().chain(hosts.into_iter().flatten());
        let fields: Vec<_> = fields.map(|(name, value)| (name.into(), value.into())).collect();
        let mut peer = Peer::connect(served.public).await;
        peer.ask(1, &fields).await;
        assert_eq!(peer.answer_to(1).await, Said::Status(status), "{authority} {host:?}");
    }
}

#[tokio::test]
async fn a_request_for_another_host_consumes_no_token_and_is_known_to_nobody() {
    let house = House::open(public()).await;
    let token = house.visitor().mint("").await;
    let stray = house.visitor();
    let target = with_token("/whoami", &token);
    let answer = stray.get(&target).as_browser().header("host", "evil.test").send().await;
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (421, None));
    let page = stray.get("/rest/x").header("host", "evil.test").send().await;
    assert!(page.json()["__ERROR"].is_array(), "under /rest in its own shape: {}", page.text());
    assert_eq!(house.probe.runs(), 0);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn without_a_name_of_its_own_a_gate_answers_for_every_host() {
    let served = Served::start(settings()).await;
    for (host, status) in VARIANTS.into_iter().filter(|(_, status)| *status != 200) {
        let answer = served.ask(&format!("GET /whoami HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, if status == 421 { 200 } else { 400 }, "{host}");
    }
}

/// The address that a handler is told of, for these header fields.
async fn remote(served: &Served, fields: &str) -> Value {
    let request = format!("GET /message HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    served.ask(&request).await.json()["result"]["remote"].clone()
}

#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names_and_nobody_else_can_choose_it() {
    let claims = [
        ("X-Forwarded-For: 203.0.113.5\r\n", "203.0.113.5"),
        ("X-Forwarded-For: 6.6.6.6, 203.0.113.5\r\n", "203.0.113.5"),
        ("X-Forwarded-For: 203.0.113.5, 10.1.2.3\r\n", "203.0.113.5"),
        ("X-Forwarded-For: ::ffff:203.0.113.5\r\n", "203.0.113.5"),
        ("Forwarded: for=\"[2001:db8::5]:1\";proto=https\r\n", "2001:db8::5"),
        ("Forwarded: for=203.0.113.5\r\nX-Forwarded-For: 203.0.113.5\r\n", "203.0.113.5"),
        ("Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 203.0.113.5\r\n", "127.0.0.1"),
        ("X-Forwarded-For: evil\r\n", "127.0.0.1"),
        ("X-Real-IP: 6.6.6.6\r\n", "127.0.0.1"),
    ];
    let behind = Served::start(trusting(&["127.0.0.0/8", "10.0.0.0/8"])).await;
    let open = Served::start(settings()).await;
    for (fields, client) in claims {
        assert_eq!(remote(&behind, fields).await, json!(client), "{fields}");
        assert_eq!(remote(&open, fields).await, json!("127.0.0.1"), "{fields} from anybody");
    }
}

#[tokio::test]
async fn early_data_does_nothing_that_could_be_done_twice() {
    let house = House::open(settings()).await;
    let token = house.visitor().mint("").await;
    let visitor = house.visitor();
    let early = |ask: crate::support::visitor::Ask| ask.header("early-data", "1").send();
    let link = with_token("/whoami", &token);
    assert_eq!(early(visitor.get(&link)).await.status, 425);
    assert_eq!(early(visitor.get(&format!("/state?state={token}"))).await.status, 425);
    assert_eq!(early(visitor.post("/state").form(&[("state", &token)])).await.status, 425);
    assert_eq!(early(visitor.post("/echo")).await.status, 425);
    assert_eq!(house.probe.runs(), 0);
    assert_eq!(early(visitor.get("/whoami")).await.status, 200, "reading is harmless");
    assert_eq!(outcome(&visitor.follow("/whoami", &token).await), "restored", "sent again");
}

fn allowed(answer: &Answer) -> (&str, &str) {
    let header = |name| answer.header(name);
    (header("access-control-allow-origin"), header("access-control-allow-credentials"))
}

#[tokio::test]
async fn pages_of_other_origins_read_what_the_rules_allow() {
    let house = House::open(sharing(&["https://app.example get;post", "*.other.example"])).await;
    let visitor = house.visitor();
    let from = |origin: &str| visitor.get("/say?body=x").header("origin", origin).send();
    let app = from("https://app.example").await;
    assert_eq!((app.status, allowed(&app)), (200, ("https://app.example", "true")));
    let other = from("http://a.other.example").await;
    assert_eq!((other.status, allowed(&other)), (200, ("http://a.other.example", "")));
    let evil = from("https://evil.example").await;
    assert_eq!((evil.status, allowed(&evil)), (403, ("", "")));
    assert_eq!(evil.json()["code"], json!("origin_not_allowed"));
    let own = from("https://shop.example").await;
    assert_eq!((own.status, allowed(&own)), (200, ("", "")));
    let put = visitor.call("PUT", "/say").header("origin", "https://app.example").send().await;
    assert_eq!(put.status, 403, "the rule names other methods");
    let missing = visitor.get("/nowhere").header("origin", "https://app.example").send().await;
    assert_eq!((missing.status, allowed(&missing).0), (404, "https://app.example"));
    let plain = visitor.get("/say").send().await;
    assert_eq!((plain.status, plain.header("vary")), (200, "origin"), "for caches");
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_row_and_without_a_token() {
    let house = House::open(sharing(&["https://app.example post"])).await;
    let token = house.visitor().mint("").await;
    let ask = |origin: &str, method: &str| {
        let target = with_token("/whoami", &token);
        let ask = house.visitor().call("OPTIONS", &target).header("origin", origin);
        let ask = ask.header("access-control-request-method", method);
        ask.header("access-control-request-headers", "content-type").send()
    };
    let yes = ask("https://app.example", "POST").await;
    assert_eq!((yes.status, allowed(&yes)), (204, ("https://app.example", "true")));
    assert_eq!(yes.header("access-control-allow-methods"), "POST");
    assert_eq!(yes.header("access-control-allow-headers"), "content-type");
    for (origin, method) in [("https://app.example", "GET"), ("https://evil.example", "POST")] {
        let no = ask(origin, method).await;
        assert_eq!((no.status, allowed(&no)), (403, ("", "")), "{method} from {origin}");
    }
    assert_eq!(house.probe.runs(), 0);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_callback_that_a_foreign_form_posts_is_no_script_and_passes() {
    let house = House::open(sharing(&["https://app.example"])).await;
    let token = house.visitor().mint("").await;
    let post = house.visitor().post("/state").form(&[("state", &token)]).as_browser();
    let answer = post.header("origin", "https://provider.example").send().await;
    // Not refused as a script's, but sent on to show the cookie that did not come along.
    assert_eq!((answer.status, house.unspent().await.len()), (303, 1));
    let back = house.visitor().get(answer.header("location")).as_browser().send().await;
    assert_eq!((back.status, outcome(&back)), (200, "restored"));
}

#[tokio::test]
async fn without_rules_nothing_is_said_about_origins() {
    let house = House::open(public()).await;
    let answer = house.visitor().get("/say").header("origin", "https://evil.example").send().await;
    assert_eq!((answer.status, allowed(&answer), answer.header("vary")), (200, ("", ""), ""));
    let preflight = house.visitor().call("OPTIONS", "/get-only").header("origin", "https://a.b");
    let preflight = preflight.header("access-control-request-method", "GET").send().await;
    assert_eq!((preflight.status, preflight.header("allow")), (204, "GET"), "as without an origin");
    assert_eq!(allowed(&preflight), ("", ""));
}

#[tokio::test]
async fn browsers_are_told_to_stay_with_https_where_they_came_by_it() {
    let hsts = async |settings: Settings| {
        let house = House::open(settings).await;
        let mut told = Vec::new();
        for target in ["/say", "/nowhere", "/fail", "/a%2Fb"] {
            let answer = house.visitor().get(target).send().await;
            told.push(answer.header("strict-transport-security").to_owned());
        }
        let stray = house.visitor().get("/say").header("host", "us@er").send().await;
        told.push(stray.header("strict-transport-security").to_owned());
        told.dedup();
        told
    };
    assert_eq!(hsts(public()).await, ["max-age=31536000; includeSubDomains"]);
    assert_eq!(hsts(Settings { hsts: Hsts::Off, ..public() }).await, [""]);
    assert_eq!(hsts(settings()).await, [""], "over http it would mean nothing");
}

#[tokio::test]
async fn a_referrer_is_kept_short_unless_the_handler_says_otherwise() {
    let house = House::open(settings()).await;
    let policy = async |target: &str| {
        let answer = house.visitor().get(target).send().await;
        assert_eq!(answer.header("server"), "");
        answer.header("referrer-policy").to_owned()
    };
    assert_eq!(policy("/say").await, "strict-origin-when-cross-origin");
    assert_eq!(policy("/nowhere").await, "strict-origin-when-cross-origin");
    assert_eq!(policy("/say?header=Referrer-Policy&value=same-origin").await, "same-origin");
}
