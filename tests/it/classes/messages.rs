//! `request`, and what becomes of what a function returns.

use callgate::gate::Answer;
use serde_json::json;

use crate::classes::Stage;
use crate::support::probe::PNG;

#[tokio::test]
async fn a_request_is_read_only() {
    let stage = Stage::of("Request").await;
    stage.holds("isReadOnly").await;
    stage.holds("wantsAForm").await;
}

#[tokio::test]
async fn a_request_says_what_the_model_says() {
    let stage = Stage::of("Request").await;
    let call =
        stage.visitor().call("POST", "members//caf%C3%A9?a=1&b=x+y&c&a='%5B1%5D'&__proto__=z");
    let answer =
        call.header("X-Mixed", "First").header("Host", "127.0.0.1:8044").body(r#"{"n":1}"#);
    let seen = answer.send().await.json()["result"].clone();
    let expected = json!({
        "url": "/Request/members//caf%C3%A9?a=1&b=x+y&c&a='%5B1%5D'&__proto__=z",
        "urlPath": ["Request", "members", "café"],
        "urlQuery": { "a": "[1]", "b": "x+y", "c": "", "__proto__": "z" },
        "query": [["a", "1"], ["b", "x y"], ["c", ""], ["a", "'[1]'"], ["__proto__", "z"]],
        "verb": "POST",
        "params": {},
        "remoteAddress": null,
        "otp": { "outcome": "absent" },
        "json": { "n": 1 },
        "host": "127.0.0.1:8044",
        "mixed": "First",
        "got": "First",
        "absent": "",
        "text": "{\"n\":1}",
        "bytes": b"{\"n\":1}",
    });
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_class_reads_json_that_was_compressed_or_begins_with_a_byte_order_mark() {
    let stage = Stage::of("Request").await;
    let ask = stage.visitor().call("POST", "members").body("\u{feff}{\"n\":1}");
    assert_eq!(ask.send().await.json()["result"]["json"], json!({ "n": 1 }));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"{\"n\":1}").unwrap();
    let sent = encoder.finish().unwrap();
    let ask = stage.visitor().call("POST", "members").header("content-encoding", "gzip");
    let seen = ask.body(sent.clone()).send().await.json()["result"].clone();
    assert_eq!((&seen["json"], &seen["bytes"]), (&json!({ "n": 1 }), &json!(sent)));
}

#[tokio::test]
async fn what_is_no_json_is_named_by_its_place_and_not_quoted() {
    let stage = Stage::of("Request").await;
    let json = async |body: &'static str| {
        let answer = stage.visitor().call("POST", "members").body(body).send().await;
        answer.json()["result"]["json"].clone()
    };
    assert_eq!(
        json("[secret]").await,
        json!("the body is not valid JSON: expected value at line 1 column 2")
    );
    let deep: &'static str = "[".repeat(65).leak();
    assert_eq!(
        json(deep).await,
        json!("the body is not valid JSON: it is nested more than 64 deep")
    );
}

#[tokio::test]
async fn a_form_gives_its_fields_and_files() {
    let stage = Stage::of("Request").await;
    let form =
        stage.visitor().call("POST", "form").form(&[("a", "J ü"), ("box", "1"), ("box", "2")]);
    let expected =
        json!({ "fields": { "a": "J ü", "box": "2" }, "files": [], "boxes": ["1", "2"] });
    assert_eq!(form.send().await.json()["result"], expected);
    let body = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
                --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\
                Content-Type: image/png\r\n\r\n\x01\x02\r\n--B--\r\n";
    let call = stage.visitor().call("POST", "form").body(body);
    let answer = call.header("Content-Type", "multipart/form-data; boundary=B").send().await;
    let file = json!({ "field": "f", "name": "a.bin", "type": "image/png", "bytes": [1, 2] });
    let expected = json!({ "fields": { "note": "hello" }, "files": [file], "boxes": [] });
    assert_eq!(answer.json()["result"], expected);
}

#[tokio::test]
async fn a_picture_keeps_its_type_both_ways() {
    let stage = Stage::of("Request").await;
    let call =
        |kind: &str| stage.visitor().call("POST", "picture").header("Content-Type", kind).body(PNG);
    let seen = call("image/jpeg").send().await.json()["result"].clone();
    assert_eq!(seen, json!(["image/png", PNG.len(), [0x89, 0x50, 0x4e, 0x47]]));
    assert_eq!(call("text/plain").send().await.json()["result"], json!(null));
    let stage = Stage::of("Message").await;
    let call = stage.visitor().call("POST", "picture").header("Content-Type", "image/x").body(PNG);
    assert_sent(&call.send().await, "image/png", PNG);
}

#[tokio::test]
async fn a_message_is_checked_when_it_is_written() {
    Stage::of("Message").await.holds("isChecked").await;
}

#[tokio::test]
async fn every_body_is_sent_as_its_kind() {
    let stage = Stage::of("Message").await;
    for (function, kind, body) in [
        ("text", "text/plain; charset=utf-8", "é😀".as_bytes()),
        ("bytes", "application/octet-stream", &[0, 255, 10]),
        ("view", "application/octet-stream", &[1, 2]),
        ("buffer", "application/octet-stream", &[7]),
        ("object", "application/json", br#"{"a":[1,null]}"#),
        ("list", "application/json", b"[1,2]"),
        ("empty", "", b""),
        ("page", "text/html; charset=utf-8", "<p>é".as_bytes()),
        ("own", "text/html", b"<p>"),
        ("bodyKeepsTheType", "application/json", b"text"),
        ("half", "text/plain; charset=utf-8", "a\u{fffd}b".as_bytes()),
        ("number", "application/json", br#"{"result":7}"#),
        ("value", "application/json", r#"{"result":{"a":[1,"é"]}}"#.as_bytes()),
        ("nothing", "", b""),
        ("nullish", "application/json", br#"{"result":null}"#),
        ("later", "application/json", br#"{"result":"later"}"#),
        ("thenable", "application/json", br#"{"result":"then"}"#),
    ] {
        assert_sent(&stage.visitor().get(function).await, kind, body);
    }
    let away = stage.visitor().get("away").await;
    assert_eq!((away.status, away.header("location")), (303, "/there?x=1"));
    assert_eq!(stage.visitor().get("bodyKeepsTheType").await.status, 202);
    let cookies = stage.visitor().get("cookies").await;
    let given = cookies.headers.get_all("set-cookie").iter().filter(|cookie| cookie.len() == 3);
    assert_eq!(given.count(), 2);
}

#[tokio::test]
async fn what_is_no_answer_ends_in_a_failure_that_says_why() {
    let stage = Stage::of("Message").await;
    for (function, why) in [
        ("function_", "the returned value: a function cannot be kept as JSON"),
        ("promise", "the returned value.link: a promise cannot be kept as JSON; await it first"),
        ("promiseInBody", "OutgoingMessage.setBody.link[0]: a promise"),
        ("promiseAsBody", "OutgoingMessage.setBody: a promise cannot be kept as JSON; await it"),
        ("error", "the returned value.error: an Error cannot be kept as JSON"),
        ("average", "the returned value.list[1].average: NaN cannot be kept"),
        ("map", "OutgoingMessage.setBody: a Map cannot be kept as JSON"),
        ("bigint", "BigInt"),
        ("huge", "1048576 are the limit"),
    ] {
        let answer = stage.visitor().get(function).await;
        assert_eq!(answer.status, 500);
        let told = answer.json()["__ERROR"][0]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(why), "{function}: {told}");
    }
}

fn assert_sent(answer: &Answer, kind: &str, body: &[u8]) {
    let found = (answer.header("content-type"), &*answer.body);
    assert_eq!(found, (kind, body), "{}", answer.text());
}
