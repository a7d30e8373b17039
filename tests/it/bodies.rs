//! Bodies as senders send them: compressed, with a byte order mark, in their own charset, or broken.

use std::io::Write;

use callgate::gate::Answer;
use flate2::Compression;
use flate2::write::GzEncoder;
use flate2::write::ZlibEncoder;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::House;
use crate::support::asked::Asked;
use crate::support::house;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::visitor::with_token;
use crate::support::wire::Served;

const FORM: &str = "application/x-www-form-urlencoded";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a handler sees of a body with these header fields.
async fn seen(house: &House, fields: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Value {
    let ask = fields
        .iter()
        .fold(house.visitor().post("/message"), |ask, (name, value)| ask.header(name, value));
    let answer = ask.body(body.into()).send().await;
    assert_eq!(answer.status, 200, "{fields:?}: {}", answer.text());
    answer.json()["result"].clone()
}

#[tokio::test]
async fn a_compressed_body_is_read_and_its_bytes_are_those_that_were_sent() {
    let house = house().await;
    let json = br#"{"paid":true}"#;
    for (coding, sent) in [
        ("gzip", gzip(json)),
        ("GZIP", gzip(json)),
        ("x-gzip", gzip(json)),
        ("deflate", zlib(json)),
        ("identity, gzip", gzip(json)),
    ] {
        let length = sent.len();
        let seen = seen(&house, &[("content-encoding", coding)], sent).await;
        assert_eq!(seen["json"], json!({ "paid": true }), "{coding}");
        assert_eq!((&seen["text"], &seen["bytes"]), (&json!("{\"paid\":true}"), &json!(length)));
    }
    let fields = [("content-encoding", "gzip"), ("content-type", FORM)];
    let seen = seen(&house, &fields, gzip(b"a=1&b=%C3%BC")).await;
    assert_eq!(seen["form"], json!([["a", "1", null, null], ["b", "ü", null, null]]));
}

#[tokio::test]
async fn a_content_encoding_that_is_none_changes_nothing() {
    let house = house().await;
    for coding in ["identity", "", "Identity", "identity,identity"] {
        let seen = seen(&house, &[("content-encoding", coding)], "plain").await;
        assert_eq!(seen["text"], json!("plain"), "{coding:?}");
    }
    let (log, capture) = Log::capture();
    let seen = seen(&house, &[("content-encoding", "UTF-8")], "ü").await;
    drop(capture);
    assert_eq!(seen["text"], json!("ü"));
    assert_eq!(log.of("body.charset_as_coding").len(), 1);
}

#[tokio::test]
async fn other_content_encodings_are_refused_with_those_that_are_taken() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    for coding in ["br", "zstd", "compress", "gzip, gzip", "aws-chunked", "iso-8859-1"] {
        let ask = house.visitor().post(&with_token("/whoami", &token));
        let answer = ask.header("content-encoding", coding).body("x").send().await;
        assert_eq!(answer.status, 415, "{coding}");
        assert_eq!(answer.json()["code"], json!("body_encoded"));
        assert_eq!(answer.header("accept-encoding"), "gzip, deflate");
    }
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn what_unpacks_to_more_than_its_row_allows_is_413_and_what_is_broken_400() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let send = async |path: &str, body: Vec<u8>| {
        let ask = house.visitor().post(&with_token(path, &token));
        let answer = ask.header("content-encoding", "gzip").body(body).send().await;
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let small = gzip(b"12345678901");
    assert!(small.len() > 10, "what is sent has the same limit");
    assert_eq!(send("/small", small).await, (413, "body_too_large".into()));
    let bomb = gzip(&vec![b'0'; 30 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(send("/whoami", bomb).await, (413, "body_too_large".into()));
    let cut = gzip(&b"payment=1&".repeat(99));
    assert_eq!(send("/whoami", cut[..cut.len() - 9].to_vec()).await, (400, "bad_body".into()));
    assert_eq!(send("/whoami", b"plain".to_vec()).await, (400, "bad_body".into()));
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored", "unspent");
}

#[tokio::test]
async fn json_may_begin_with_a_byte_order_mark() {
    let house = house().await;
    for body in ["\u{feff}{\"a\":\"ü\"}".as_bytes(), b"\xff\xfe{\0\"\0a\0\"\0:\0\"\0\xfc\0\"\0}\0"]
    {
        let seen = seen(&house, &[("content-type", "application/json")], body).await;
        assert_eq!(seen["json"], json!({ "a": "ü" }));
        assert_eq!(seen["bytes"], json!(body.len()));
    }
}

#[tokio::test]
async fn a_text_and_a_form_are_read_in_their_charset() {
    let house = house().await;
    let text = seen(&house, &[("content-type", "text/plain; charset=windows-1252")], b"J\xfc \x80");
    assert_eq!(text.await["text"], json!("Jü €"));
    for (kind, body) in [
        ("application/x-www-form-urlencoded; charset=windows-1252", &b"name=J%FC+%80"[..]),
        (FORM, b"name=J%FC+%80&charset=windows-1252"),
    ] {
        let form = seen(&house, &[("content-type", kind)], body).await;
        assert_eq!(form["form"][0], json!(["name", "Jü €", null, null]), "{kind}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_the_handler_asks_for_is_the_callers_fault() {
    let house = house().await;
    let (log, capture) = Log::capture();
    let ask = |path: &str, kind: &str, body: &'static str| {
        house.visitor().post(path).header("content-type", kind).body(body).send()
    };
    for (path, kind, body) in [
        ("/write?key=a", "application/json", "{\"a\":"),
        ("/write?key=a", "application/json", "<xml/>"),
        ("/submit", "multipart/form-data; boundary=B", "--B\r\nContent-Disp"),
        ("/submit", "multipart/form-data", "--B"),
        ("/submit", "text/plain", "a=1"),
    ] {
        let answer = ask(path, kind, body).await;
        assert_eq!(answer.status, 400, "{kind}");
        assert_eq!(answer.json()["code"], json!("bad_body"), "{kind}");
        assert!(!answer.text().contains("line 1"), "why is for the log");
    }
    drop(capture);
    assert_eq!(log.at("ERROR"), Vec::<Value>::new());
    let causes: Vec<Value> = log.of("request").iter().map(|line| line["cause"].clone()).collect();
    assert!(causes[0].as_str().unwrap().contains("line 1 column 5"), "{causes:?}");
    assert_eq!(ask("/submit", FORM, "name=Ann").await.text(), "Ann");
}

#[tokio::test]
async fn one_query_value_may_be_as_long_as_the_address_allows() {
    let house = house().await;
    let code = "c".repeat(8_000);
    let answer = house.visitor().get(&format!("/message?code={code}")).send().await;
    assert_eq!(answer.json()["result"]["urlQuery"], json!([["code", code]]));
    let answer = house.visitor().get(&format!("/message?code={code}{code}")).send().await;
    assert_eq!(answer.status, 414);
}

#[tokio::test]
async fn the_query_is_also_read_as_the_url_standard_says() {
    let house = house().await;
    let target = "/message?a=1+2&a=x%20y&b&%63='z'&validationToken=Validation%3a+Testing%2B1";
    let seen = house.visitor().get(target).send().await.json()["result"].clone();
    let query = json!([
        ["a", "1 2"],
        ["a", "x y"],
        ["b", ""],
        ["c", "'z'"],
        ["validationToken", "Validation: Testing+1"],
    ]);
    assert_eq!(seen["query"], query);
    assert_eq!(seen["urlQuery"][0], json!(["a", "1+2"]));
}

#[tokio::test]
async fn over_http2_the_host_is_the_authority() {
    let served = Served::start(settings()).await;
    let stream = TcpStream::connect(served.public).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let running = tokio::spawn(connection);
    let request =
        Request::get("http://shop.example:8443/message").body(Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    running.abort();
    let seen: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["result"]["headers"]["host"], json!("shop.example:8443"));
}

/// Browsers name the origin of a form, and over HTTP/2 no field `Host` beside it.
#[tokio::test]
async fn over_http2_the_button_of_the_page_that_asks_is_heard_without_a_public_origin() {
    let served = Served::start(settings()).await;
    let desk = served.house.visitor();
    let id = desk.write("cart", "3").await;
    let stream = TcpStream::connect(served.public).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let running = tokio::spawn(connection);
    let mut send = async |request: hyper::http::request::Builder, body: String| {
        let request = request.header("accept", "text/html").header("accept-language", "en");
        let answer =
            sender.send_request(request.body(Full::new(bytes::Bytes::from(body))).unwrap());
        let (head, body) = answer.await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    };
    for (origin, status) in [("http://shop.example:8443", 200), ("http://evil.test", 403)] {
        let link = with_token("/foreign", &desk.mint("").await);
        let get = Request::get(format!("http://shop.example:8443{link}"));
        let page = send(get, String::new()).await;
        let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
        let page = Asked::read(&link, &page);
        let fields = [("token", &page.token), ("question", &page.question), ("proof", &page.proof)];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let post = Request::post(format!("http://shop.example:8443{}", page.target()));
        let post = post.header("cookie", cookie).header("origin", origin);
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        let answer = send(post, form).await;
        assert_eq!(answer.status, status, "{origin}");
        if status == 200 {
            assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
        }
    }
    running.abort();
}

#[tokio::test]
async fn what_is_forwarded_goes_on_in_the_coding_it_came_in() {
    let upstream = Upstream::echo().await;
    let rows = ["plain", "again", "state"].map(|name| {
        let more = match name {
            "again" => ", \"repeat\": 60",
            "state" => ", \"otp\": { \"param\": \"state\" }",
            _ => "",
        };
        let to = upstream.address;
        format!("{{ \"forward\": \"http://{to}\", \"pattern\": \"up/{name}\"{more} }}")
    });
    let house = House::with_rows(settings(), &rows.join(",")).await;
    let visitor = house.visitor();
    let send = async |path: &str, coding: &str, kind: &str, body: Vec<u8>| {
        let ask = house.visitor().post(path).header("content-encoding", coding);
        ask.header("content-type", kind).body(body).send().await
    };
    let json = gzip(b"{}");
    for path in ["/up/plain", "/up/again", "/up/state"] {
        for (coding, body) in [("gzip", json.clone()), ("br", b"whatever".to_vec())] {
            let answer = send(path, coding, "application/json", body.clone()).await;
            assert_eq!(answer.status, 200, "{path} {coding}: {}", answer.text());
            let asked = upstream.asked().pop().unwrap();
            assert_eq!((asked.header("content-encoding"), &asked.body[..]), (coding, &body[..]));
        }
    }
    let plain = gzip(b"a=1");
    send("/up/state", "gzip", FORM, plain.clone()).await;
    let asked = upstream.asked().pop().unwrap();
    assert_eq!((asked.header("content-encoding"), &asked.body[..]), ("gzip", &plain[..]));
    // Where the form brings the token, what goes on is the form without it.
    let token = visitor.mint("").await;
    let form = gzip(format!("a=1&state={token}&b=2").as_bytes());
    assert_eq!(send("/up/state", "gzip", FORM, form).await.status, 200);
    let asked = upstream.asked().pop().unwrap();
    assert_eq!((asked.header("content-encoding"), &asked.body[..]), ("", &b"a=1&b=2"[..]));
    assert_eq!(asked.header("x-callgate-otp"), "restored");
    assert_eq!(send("/up/state", "br", FORM, b"x".to_vec()).await.status, 415, "it may hold one");
}
