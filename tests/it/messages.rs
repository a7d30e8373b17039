//! What handlers are given and what becomes of what they return.

use std::time::Duration;

use callgate::Settings;
use callgate::base::clock::Stopwatch;
use callgate::store::port::OperationKind;
use callgate::table::BasePath;
use serde_json::Value;
use serde_json::json;

use crate::support::House;
use crate::support::house;
use crate::support::outcome;
use crate::support::probe::PNG;
use crate::support::settings;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The members of a request as its handler sees them.
async fn seen(ask: crate::support::visitor::Ask) -> Value {
    let answer = ask.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = answer.json()["result"].clone();
    assert_eq!(seen["id"], json!(answer.header("x-request-id")));
    seen
}

#[tokio::test]
async fn url_and_path_are_what_the_model_says() {
    let house = house().await;
    let seen = seen(house.visitor().get("//message//caf%C3%A9/?a=1&b")).await;
    assert_eq!(seen["url"], json!("//message//caf%C3%A9/?a=1&b"));
    assert_eq!(seen["path"], json!("/message/café/"));
    assert_eq!(seen["urlPath"], json!(["message", "café"]));
    assert_eq!((&seen["verb"], &seen["otp"]), (&json!("GET"), &json!("absent")));
    assert_eq!(seen["remote"], json!(null), "no socket, no address");
}

#[tokio::test]
async fn a_mount_prefix_is_in_the_url_and_not_in_the_path() {
    let base_path = BasePath::parse("/tools").unwrap();
    let house = House::open(Settings { base_path, ..settings() }).await;
    let seen = seen(house.visitor().get("/tools/message/x")).await;
    assert_eq!((&seen["url"], &seen["path"]), (&json!("/tools/message/x"), &json!("/message/x")));
    assert_eq!(house.visitor().get("/message/x").send().await.status, 404);
}

#[tokio::test]
async fn the_query_is_read_as_the_model_says() {
    let house = house().await;
    let target = "/message?a=1&b=x+y&c&d='%5B1%5D'&a=%60%C3%A9&e=&f=1=2";
    let seen = seen(house.visitor().get(target)).await;
    let pairs = json!([
        ["a", "1"],
        ["b", "x+y"],
        ["c", ""],
        ["d", "[1]"],
        ["a", "`é"],
        ["e", ""],
        ["f", "1=2"]
    ]);
    assert_eq!((&seen["urlQuery"], &seen["last"]), (&pairs, &json!("`é")));
}

#[tokio::test]
async fn headers_are_found_whatever_their_case() {
    let house = house().await;
    let ask = house.visitor().get("/message").header("X-Mixed", "one").header("Host2", "b");
    let seen = seen(ask).await;
    assert_eq!((&seen["mixed"], &seen["absent"]), (&json!("one"), &json!("")));
    assert_eq!(seen["headers"]["x-mixed"], json!("one"));
    assert_eq!(seen["headers"]["host"], json!("localhost"));
}

#[tokio::test]
async fn any_method_reaches_a_row_for_all_verbs() {
    let house = house().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let seen = seen(house.visitor().call(method, "/message")).await;
        assert_eq!(seen["verb"], json!(method));
    }
    let head = house.visitor().call("HEAD", "/whoami").send().await;
    assert_eq!((head.status, outcome(&head), head.body.len()), (200, "absent", 0));
}

#[tokio::test]
async fn a_body_is_text_json_and_bytes() {
    let house = house().await;
    let ask = |body: &'static [u8]| house.visitor().post("/message").body(body);
    let object = seen(ask(br#" {"a": [1, "\u00e9"]} "#)).await;
    assert_eq!(object["json"], json!({ "a": [1, "é"] }), "whatever the content type");
    assert_eq!((&object["bytes"], &object["form"]), (&json!(22), &json!(null)));
    let broken = seen(ask(b"{\"a\": \xff")).await;
    assert_eq!(broken["json"], json!("invalid"));
    assert_eq!(broken["text"], json!("{\"a\": \u{fffd}"));
    let empty = seen(ask(b"")).await;
    assert_eq!((&empty["text"], &empty["json"]), (&json!(""), &json!("invalid")));
    let deep = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let at_limit = house.visitor().post("/message").body(deep(64));
    assert!(seen(at_limit).await["json"].is_array());
    let beyond = house.visitor().post("/message").body(deep(65));
    assert_eq!(seen(beyond).await["json"], json!("invalid"));
    let far_beyond = house.visitor().post("/message").body("[".repeat(500_000));
    assert_eq!(seen(far_beyond).await["json"], json!("invalid"));
}

#[tokio::test]
async fn a_picture_is_one_when_type_and_bytes_agree() {
    let house = house().await;
    for (kind, body, picture) in [
        ("image/png", PNG, json!("image/png")),
        ("IMAGE/jpeg", PNG, json!("image/png")),
        ("application/octet-stream", PNG, json!(null)),
        ("image/png", b"<svg>", json!(null)),
    ] {
        let ask = house.visitor().post("/message").header("content-type", kind).body(body);
        assert_eq!(seen(ask).await["picture"], picture, "{kind}");
    }
}

#[tokio::test]
async fn forms_are_read_urlencoded_and_multipart() {
    let house = house().await;
    let fields = [("name", "Jürgen W"), ("x", "1"), ("x", "2&3")];
    let form = seen(house.visitor().post("/message").form(&fields)).await["form"].clone();
    assert_eq!(form[0], json!(["name", "Jürgen W", null, null]));
    assert_eq!(form[2], json!(["x", "2&3", null, null]));
    let body = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../a.txt\"\r\n\
                Content-Type: text/plain\r\n\r\nhello\r\n--B--\r\n";
    let ask = house.visitor().post("/message").body(body);
    let form = seen(ask.header("content-type", "multipart/form-data; boundary=B")).await;
    assert_eq!(form["form"], json!([["f", "hello", "../a.txt", "text/plain"]]));
}

#[tokio::test]
async fn named_captures_are_parameters() {
    let house = house().await;
    let answer = house.visitor().get("/orders/0042/lines").send().await;
    assert_eq!(answer.json()["params"], json!([["number", "0042"]]));
    assert_eq!(house.visitor().get("/orders/x").send().await.status, 404);
}

#[tokio::test]
async fn what_a_handler_returns_decides_type_and_body() {
    let house = house().await;
    for (kind, media_type, body) in [
        ("text", "text/plain; charset=utf-8", &b"text"[..]),
        ("blob", "application/octet-stream", &[0, 1]),
        ("object", "application/json", br#"{"a":[1,null]}"#),
        ("picture", "image/png", PNG),
        ("html", "text/html; charset=utf-8", b"<p>"),
        ("empty", "", b""),
        ("value", "application/json", br#"{"result":{"status":"ok"}}"#),
        ("number", "application/json", br#"{"result":7}"#),
        ("null", "application/json", br#"{"result":null}"#),
        ("nothing", "", b""),
    ] {
        let answer = house.visitor().get(&format!("/reply?kind={kind}")).send().await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{kind}");
        assert_eq!(&answer.body[..], body, "{kind}");
    }
}

#[tokio::test]
async fn a_handler_sets_status_and_headers() {
    let house = house().await;
    let answer = house.visitor().get("/say?status=418&body=tea&header=X-Pot&value=short").send();
    let answer = answer.await;
    assert_eq!((answer.status, answer.header("x-pot")), (418, "short"));
    assert_eq!(answer.text(), "tea");
    let own = house.visitor().get("/say?header=Content-Type&value=text/css&body=p{}");
    let own = own.send().await;
    assert_eq!(own.header("content-type"), "text/css");
}

#[tokio::test]
async fn what_a_handler_must_not_set_is_its_failure() {
    let house = house().await;
    let long = "x".repeat(4_096);
    for query in [
        "header=X-A&value=a%0D%0ASet-Cookie:%20b=c",
        "header=X-A&value=a%0Ab",
        "header=X-A&value=%00",
        "header=X-A&value=%7F",
        "header=X-A&value=%C3%A9",
        "header=X%0AA&value=a",
        "header=X%20A&value=a",
        "header=&value=a",
        "header=Content-Length&value=0",
        "header=Transfer-Encoding&value=chunked",
        "header=Connection&value=close",
        "header=Upgrade&value=h2c",
        "header=Date&value=now",
        "status=99",
        "status=100",
        "status=101",
        "status=600",
        "status=-1",
        "status=ok",
    ] {
        let answer = house.visitor().get(&format!("/say?{query}")).send().await;
        assert_eq!(answer.status, 500, "{query}");
        assert!(answer.json()["__ERROR"].is_array(), "{query}");
    }
    let fits = house.visitor().get(&format!("/say?header=X-A&value={long}")).send().await;
    assert_eq!(fits.status, 200);
}

#[tokio::test]
async fn a_handler_cannot_give_away_a_session_cookie_of_its_own_making() {
    let house = house().await;
    let visitor = house.visitor();
    let id = visitor.id().await;
    for cookie in [
        "4DSID_callgate=planted;%20Path=/",
        "%204DSID_callgate=planted",
        "%094DSID_callgate%20=planted",
        "4DSID_callgate",
        "4DSID_callgate;a=b",
    ] {
        let target = format!("/say?header=Set-Cookie&value={cookie}");
        let answer = visitor.get(&target).send().await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (200, None), "{cookie}");
    }
    assert_eq!(visitor.id().await, id);
    let other = visitor.get("/say?header=Set-Cookie&value=theme=dark").send().await;
    assert_eq!(other.header("set-cookie"), "theme=dark");
}

#[tokio::test]
async fn a_handler_that_fails_is_a_500_that_tells_nothing() {
    let house = house().await;
    for path in ["/fail", "/panic", "/share-fail", "/share-panic"] {
        let answer = house.visitor().get(path).header("accept", "application/json").send().await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
        let error = answer.json()["__ERROR"][0].clone();
        assert_eq!(error["message"], json!("The handler failed."));
        assert_eq!(error["componentSignature"], json!("callgate"));
        assert_eq!(error["errCode"], json!(500));
        let page = house.visitor().get(path).header("accept", BROWSER).send().await;
        assert_eq!(page.status, 500, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.text().contains("The handler failed."), "{}", page.text());
        assert!(!page.text().contains("inner text"), "{}", page.text());
    }
    assert_eq!(house.visitor().get("/whoami").send().await.status, 200, "others go on");
}

#[tokio::test]
async fn in_development_the_handlers_own_text_is_shown() {
    let house = House::open(Settings { development: true, ..settings() }).await;
    let answer = house.visitor().get("/fail").send().await;
    assert_eq!(answer.json()["__ERROR"][0]["message"], json!("inner text of a failure at /fail"));
    let panic = house.visitor().get("/panic").send().await;
    assert_eq!((panic.status, panic.json()["__ERROR"].is_array()), (500, true));
    house.cut_off(&[OperationKind::Create]);
    let down = house.visitor().get("/write?key=a&value=1").send().await;
    assert_eq!((down.status, down.text().contains("lost")), (503, false));
}

#[tokio::test]
async fn what_a_failed_handler_wrote_is_not_kept() {
    let house = house().await;
    let visitor = house.visitor();
    visitor.write("a", "1").await;
    let answer = visitor.get("/hasty?value=late").send().await;
    assert_eq!(answer.status, 500);
    assert_eq!(visitor.session().await["storage"], json!({ "a": "1" }));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_given_up() {
    let house = house().await;
    let answer = house.visitor().get("/hasty").send().await;
    assert_eq!(answer.status, 500);
    let message = answer.json()["__ERROR"][0]["message"].clone();
    assert_eq!(message, json!("The handler did not answer in time."));

    let mut short = settings();
    short.limits.handler = std::time::Duration::from_millis(50);
    let house = House::open(short).await;
    let begun = Stopwatch::start();
    assert_eq!(house.visitor().get("/linger").send().await.status, 500);
    assert!(begun.elapsed() < Duration::from_secs(15), "the default is 30 s");
    assert_eq!(house.visitor().get("/whoami").send().await.status, 200);
}

#[tokio::test]
async fn a_missing_class_or_function_answers_with_the_models_own_words() {
    let house = house().await;
    for path in ["/no-class", "/no-method"] {
        let page = house.visitor().get(path).header("accept", BROWSER).send().await;
        assert_eq!(
            (page.status, page.text().contains("Cannot find singleton function")),
            (500, true)
        );
        let answer = house.visitor().get(path).send().await;
        let error = json!({
            "message": "Cannot find singleton function",
            "componentSignature": "callgate",
            "errCode": 500,
        });
        assert_eq!((answer.status, answer.json()), (500, json!({ "__ERROR": [error] })));
    }
    let warnings: Vec<String> = house.gate.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|text| text.contains("Nobody")), "{warnings:?}");
}

#[tokio::test]
async fn programs_get_problem_json_people_a_page_and_rest_its_own() {
    let house = house().await;
    let ask = |path: &str| house.visitor().get(path);
    for (path, status, code) in [
        ("/nowhere", 404, "not_found"),
        ("/a/../b", 400, "bad_path"),
        ("/admin", 401, "sign_in_first"),
        ("/refuse?$4DSID=x", 403, "token_refused"),
        ("/whoami?$4DSID=x&$4DSID=y", 400, "several_tokens"),
    ] {
        let problem = ask(path).send().await;
        assert_eq!(problem.status, status, "{path}");
        assert_eq!(problem.header("content-type"), "application/problem+json");
        assert_eq!(problem.header("cache-control"), "no-store");
        let body = problem.json();
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)));
        assert_eq!(body["type"], json!("about:blank"));
        assert!(body["title"].is_string() && body["detail"].is_string());

        let page = ask(path).header("accept", BROWSER).send().await;
        assert_eq!(page.status, status, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        assert!(page.text().contains(code) && !page.text().contains("{detail}"));
        assert!(!page.text().contains("<script") && !page.text().contains(path));
    }
    for path in ["/rest", "/rest/$entityset", "/REST/x"] {
        for accept in [BROWSER, "*/*"] {
            let answer = ask(path).header("accept", accept).send().await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.json()["__ERROR"][0]["componentSignature"], json!("callgate"));
        }
    }
}

#[tokio::test]
async fn a_wrong_verb_is_a_405_with_all_that_is_allowed() {
    let house = house().await;
    let answer = house.visitor().post("/get-only").send().await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));
    let head = house.visitor().call("HEAD", "/get-only").send().await;
    assert_eq!((head.status, head.header("allow")), (405, "GET"));
    let options = house.visitor().call("OPTIONS", "/get-only").send().await;
    assert_eq!((options.status, options.header("allow")), (204, "GET"));
    assert!(options.body.is_empty());
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let house = house().await;
    let visitor = house.visitor();
    let mut ids = Vec::new();
    for path in ["/whoami", "/whoami", "/nowhere", "/fail", "/panic"] {
        let answer = visitor.get(path).header("x-request-id", "forged").send().await;
        ids.push(answer.header("x-request-id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}
