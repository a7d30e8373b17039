//! That an upstream never sees a token, wherever its row lets one stand.

use callgate::gate::Answer;
use serde_json::json;

use crate::support::House;
use crate::support::settings;
use crate::support::upstream::Asked;
use crate::support::upstream::Upstream;
use crate::support::visitor::with_token;

async fn house(upstream: &Upstream) -> House {
    let base = format!("http://{}/base/", upstream.address);
    let row = |pattern: &str, param: &str| {
        format!(r#"{{ "forward": "{base}", {pattern}, "otp": {{ "param": "{param}" }} }}"#)
    };
    let rows = [
        row(r#""regexPattern": "^/up-path/(?<token>[^/]+)/done$""#, "path:token"),
        row(r#""pattern": "up-header""#, "header:X-State"),
        row(r#""pattern": "up-json""#, "json:/metadata/token"),
        row(r#""pattern": "up-form""#, "state"),
        format!(r#"{{ "forward": "{base}", "pattern": "up-repeat", "repeat": 60 }}"#),
    ];
    House::with_rows(settings(), &rows.join(",")).await
}

/// Everything that an upstream was sent, decoded and in lower case.
fn whole(asked: &Asked) -> String {
    let fields = asked.headers.iter();
    let fields = fields
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    let head = format!("{} {}\n{}", asked.method, asked.target, fields.collect::<String>());
    let text = [head.as_bytes(), &asked.body].concat();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&text).collect();
    String::from_utf8_lossy(&decoded).to_lowercase()
}

/// One way in which a request brings a token, which stands where `{}` is.
struct Way {
    target: &'static str,
    fields: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// What the upstream gets in its place.
    got: (&'static str, &'static str),
}

const MULTIPART: &str = "multipart/form-data; boundary=xYz";

const WAYS: &[Way] = &[
    Way {
        target: "/up-path/{}/done?a=1",
        fields: &[],
        body: "",
        got: ("/base/up-path/done?a=1", ""),
    },
    Way {
        target: "/up-header?a=1",
        fields: &[("x-state", "{}")],
        body: "",
        got: ("/base/up-header?a=1", ""),
    },
    Way {
        target: "/up-json",
        fields: &[("content-type", "application/json")],
        body: r#"{ "amount": 1.50, "metadata": { "token": "{}" } }"#,
        got: ("/base/up-json", r#"{ "amount": 1.50, "metadata": { "token": "" } }"#),
    },
    Way {
        target: "/up-form",
        fields: &[("content-type", MULTIPART)],
        body: "--xYz\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\n7\r\n--xYz\r\n\
               Content-Disposition: form-data; name=\"state\"\r\n\r\n{}\r\n--xYz--\r\n",
        got: (
            "/base/up-form",
            "--xYz\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\n7\r\n--xYz--\r\n",
        ),
    },
    Way {
        target: "/up-form?x=1",
        fields: &[("content-type", "application/x-www-form-urlencoded")],
        body: "code=7&state={}",
        got: ("/base/up-form?x=1", "code=7"),
    },
    // Platforms and proxies repeat the address, and some the token itself.
    Way {
        target: "/up-path/{}/done?again={}&a=1",
        fields: &[
            ("x-envoy-original-path", "/up-path/{}/done"),
            ("referer", "https://shop.test/up-path/{}/done"),
            ("x-request-uri", "%2Fup-path%2F{}%2Fdone"),
        ],
        body: "",
        got: ("/base/up-path/done?a=1", ""),
    },
    Way {
        target: "/up-header?next=%2Fx%3Fs%3D{}&a=1",
        fields: &[("x-state", "{}"), ("x-correlation", "of {}")],
        body: "",
        got: ("/base/up-header?a=1", ""),
    },
    Way {
        target: "/up-json?$4DSID={}",
        fields: &[("content-type", "application/json"), ("x-other", "{}")],
        body: r#"{"metadata":{"token":"{}"},"reference":"{}","list":["{}",1]}"#,
        got: ("/base/up-json", r#"{"metadata":{"token":""},"reference":"","list":["",1]}"#),
    },
    Way {
        target: "/up-form",
        fields: &[("content-type", "application/x-www-form-urlencoded")],
        body: "state={}&reference={}&code=7",
        got: ("/base/up-form", "code=7"),
    },
    // Within longer texts.
    Way {
        target: "/up-form",
        fields: &[
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", "theme=dark; last=/x?s={}"),
        ],
        body: "state={}&back=https%3A%2F%2Fshop.test%2F%3Fs%3D{}%26a&code=7",
        got: (
            "/base/up-form",
            "back=https%3A%2F%2Fshop.test%2F%3Fs%3D********************************%26a&code=7",
        ),
    },
    Way {
        target: "/up-json/of/{}?$4DSID={}",
        fields: &[("content-type", "application/json"), ("content-digest", "sha-256=:x:")],
        body: r#"{"note":"paid by {}.","{}":1}"#,
        got: (
            "/base/up-json/of/********************************",
            r#"{"note":"paid by ********************************.","********************************":1}"#,
        ),
    },
    Way {
        target: "/up-form",
        fields: &[("content-type", MULTIPART)],
        body: "--xYz\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\n{}\r\n--xYz\r\n\
               Content-Disposition: form-data; name=\"{}\"; filename=\"{}.txt\"\r\n\r\nof {}\r\n\
               --xYz--\r\n",
        got: (
            "/base/up-form",
            "--xYz\r\nContent-Disposition: form-data; name=\"********************************\"; \
             filename=\"********************************.txt\"\r\n\r\n\
             of ********************************\r\n--xYz--\r\n",
        ),
    },
];

async fn send(house: &House, way: &Way, token: &str) -> Answer {
    send_as("POST", house, way, token).await
}

async fn send_as(method: &str, house: &House, way: &Way, token: &str) -> Answer {
    let told = |text: &str| text.replace("{}", token);
    let mut ask = house.visitor().call(method, &told(way.target));
    for (name, value) in way.fields {
        ask = ask.header(name, &told(value));
    }
    ask.body(told(way.body)).send_unchecked().await
}

#[tokio::test]
async fn an_upstream_sees_no_token_wherever_its_row_lets_one_stand() {
    for way in WAYS {
        let upstream = Upstream::echo().await;
        let house = house(&upstream).await;
        let mine = house.visitor();
        // Redeemed, used, unknown, and one that is left alone because it is for another row.
        let bound = mine.mint("for=Probe.other").await;
        let good = mine.mint("").await;
        let never = "2E5D0D57751D471DB29FD110D2DCE253";
        let shown = [
            (&*good, "restored"),
            (&*good.to_lowercase(), "used"),
            (never, "unknown"),
            (&*bound, "wrongHandler"),
        ]
        .map(|(token, outcome)| (token.to_owned(), outcome));
        for (token, outcome) in shown {
            let answer = send(&house, way, &token).await;
            assert_eq!(answer.status, 200, "{}: {}", way.target, answer.text());
            let asked = upstream.asked().pop().unwrap();
            assert_eq!(asked.header("x-callgate-otp"), outcome, "{}", way.target);
            let text = whole(&asked);
            assert!(!text.contains(&token.to_lowercase()), "{}: {text}", way.target);
            assert_eq!(asked.target, way.got.0);
            assert_eq!(String::from_utf8_lossy(&asked.body), way.got.1, "{}", way.target);
            let length = way.got.1.len();
            let length = if length == 0 { String::new() } else { length.to_string() };
            assert_eq!(asked.header("content-length"), length, "{}", way.target);
            assert_eq!(asked.header("content-digest"), "", "{}", way.target);
        }
    }
}

/// A request that must not redeem leaves its token good, so it must not show it either.
#[tokio::test]
async fn a_request_that_redeems_nothing_shows_no_token() {
    for (method, way) in
        ["HEAD", "OPTIONS"].into_iter().flat_map(|it| WAYS.iter().map(move |way| (it, way)))
    {
        let upstream = Upstream::echo().await;
        let house = house(&upstream).await;
        let token = house.visitor().mint("").await;
        let answer = send_as(method, &house, way, &token).await;
        assert_eq!(answer.status, 200, "{method} {}", way.target);
        let asked = upstream.asked().pop().unwrap();
        assert_eq!(asked.header("x-callgate-otp"), "absent", "{method} {}", way.target);
        let text = whole(&asked);
        assert!(!text.contains(&token.to_lowercase()), "{method} {}: {text}", way.target);
        send(&house, way, &token).await;
        let asked = upstream.asked().pop().unwrap();
        assert_eq!(asked.header("x-callgate-otp"), "restored", "{method} {}", way.target);
    }
}

/// What is no token in such a place reaches the upstream as it is.
#[tokio::test]
async fn what_is_no_token_goes_on_as_it_is() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream).await;
    for way in WAYS.iter().take(5) {
        send(&house, way, "order-4711").await;
        let asked = upstream.asked().pop().unwrap();
        assert!(["absent", "unknown"].contains(&asked.header("x-callgate-otp")));
        let sent = way.body.replace("{}", "order-4711");
        assert_eq!(String::from_utf8_lossy(&asked.body), sent, "{}", way.target);
        assert!(whole(&asked).contains("order-4711"), "{}", way.target);
    }
    let body = json!({ "metadata": { "token": 7 } }).to_string();
    let ask = house.visitor().post("/up-json").header("content-type", "application/json");
    ask.body(body.clone()).send().await;
    assert_eq!(String::from_utf8_lossy(&upstream.asked().pop().unwrap().body), body);
}

/// Such a body is buffered because of its repeats only. It is searched unless it is compressed.
#[tokio::test]
async fn a_body_that_is_kept_for_its_repeats_has_no_token_in_its_text() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream).await;
    let desk = house.visitor();
    for coding in ["", "identity"] {
        let token = desk.mint("").await;
        let ask = house.visitor().post(&with_token("/up-repeat", &token));
        let ask = ask.header("content-type", "text/plain").header("content-encoding", coding);
        let answer = ask.body(format!("paid by {token}.")).send_unchecked().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let asked = upstream.asked().pop().unwrap();
        assert_eq!(asked.header("x-callgate-otp"), "restored");
        let body = String::from_utf8_lossy(&asked.body);
        assert_eq!(body, format!("paid by {}.", "*".repeat(32)), "{coding:?}");
    }
    let token = desk.mint("").await;
    let body = format!("not gzip: {token}");
    let ask = house.visitor().post(&with_token("/up-repeat", &token));
    ask.header("content-encoding", "gzip").body(body.clone()).send_unchecked().await;
    let asked = upstream.asked().pop().unwrap();
    assert_eq!((asked.header("content-encoding"), &*asked.body), ("gzip", body.as_bytes()));
}
