//! Links as they arrive: damaged on their way, brought by platforms in places of their own, loaded
//! in advance, and the links that callgate itself makes.

use callgate::Settings;
use callgate::base::Clock;
use callgate::gate::Answer;
use callgate::settings::PublicOrigin;
use serde_json::json;

use crate::support::House;
use crate::support::house;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

const HOME: &str = include_str!("../links/home.tsv");
const STAYS: &str = include_str!("../links/stays.tsv");

/// The lines of a corpus: a query with holes, and where it comes from.
fn corpus(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    lines.map(|line| line.split_once('\t').unwrap()).collect()
}

fn filled(query: &str, token: &str, other: &str) -> String {
    let (front, back) = token.split_at(14);
    query
        .replace("{T}", token)
        .replace("{t}", &token.to_lowercase())
        .replace("{A}", front)
        .replace("{B}", back)
        .replace("{E}", &encoded(token))
        .replace("{S}", &token[..31])
        .replace("{O}", other)
}

/// Every byte percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"))
}

#[tokio::test]
async fn damaged_links_bring_people_home() {
    let house = house().await;
    let lines = corpus(HOME);
    assert!(lines.len() >= 60, "{}", lines.len());
    for (query, source) in lines {
        let token = house.visitor().mint("").await;
        let target = format!("/whoami?{}", filled(query, &token, ""));
        let answer = house.visitor().get(&target).as_browser().send().await;
        assert_eq!((answer.status, outcome(&answer)), (200, "restored"), "{query}: {source}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{query}");
        assert_eq!(house.unspent().await.len(), 0, "{query}");
    }
}

#[tokio::test]
async fn damaged_links_survive_the_page_that_asks_and_the_way_upstream() {
    let house = house().await;
    for (query, source) in corpus(HOME) {
        let token = house.visitor().mint("").await;
        let target = format!("/foreign?{}", filled(query, &token, ""));
        let phone = house.visitor();
        let answer = phone.get(&target).as_browser().send().await;
        let page = crate::support::asked::Asked::read(&target, &answer);
        assert!(!page.query.to_uppercase().contains(&token), "{query}: {}", page.query);
        let back = page.press(&phone).send().await;
        assert_eq!(outcome(&back), "restored", "{query}: {source}");
        let token = house.visitor().mint("").await;
        let target = format!("/strip?{}", filled(query, &token, ""));
        let stripped = house.visitor().get(&target).as_browser().send().await;
        assert_eq!(stripped.status, 303, "{query}");
        let left = stripped.header("location").to_uppercase();
        assert!(!left.contains("4DSID") && !left.contains(&token[20..]), "{query}: {left}");
    }
}

#[tokio::test]
async fn what_is_no_token_of_ours_stays_where_it_is() {
    let house = house().await;
    let desk = house.visitor();
    let (token, other) = (desk.mint("").await, desk.mint("").await);
    let lines = corpus(STAYS);
    assert!(lines.len() >= 40, "{}", lines.len());
    for (query, why) in lines {
        for path in ["/whoami", "/strip"] {
            let target = format!("{path}?{}", filled(query, &token, &other));
            let ask = house.visitor().get(&target).as_browser().no_token_here();
            let answer = ask.send_unchecked().await;
            let is_refused = answer.status == 400 && answer.text().contains("more than one token");
            let unspent = ["absent", "unknown"].contains(&outcome(&answer));
            assert!(is_refused || (answer.status == 200 && unspent), "{query}: {why}");
            assert_eq!(house.unspent().await.len(), 2, "{query}: {why}");
        }
    }
    for target in [format!("/whoami/{token}"), format!("/whoami/$4DSID={token}")] {
        let answer = house.visitor().get(&target).as_browser().send_unchecked().await;
        assert_eq!(outcome(&answer), "absent", "the row looks at no path");
    }
    assert_eq!(house.unspent().await.len(), 2);
}

/// A target and a form, with two tokens in them.
type Way = fn(&str, &str) -> (String, [(&'static str, String); 2]);

#[tokio::test]
async fn one_value_is_one_token_wherever_it_stands_and_two_are_refused() {
    let house = house().await;
    let desk = house.visitor();
    let other = desk.mint("").await;
    let post = async |target: &str, fields: [(&str, String); 2]| {
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        house.visitor().post(target).form(&fields).send().await
    };
    for is_same in [true, false] {
        let ways: [Way; 4] = [
            |t, o| (format!("/state?state={t}"), [("state", o.into()), ("a", "1".into())]),
            |t, o| (format!("/state?$4DSID={t}"), [("state", o.into()), ("a", "1".into())]),
            |t, o| (format!("/state?$4DSID={t}&state={o}"), [("a", "1".into()), ("b", "2".into())]),
            |t, o| ("/state".into(), [("state", t.into()), ("state", o.into())]),
        ];
        for way in ways {
            let token = desk.mint("").await;
            let second = if is_same { token.to_lowercase() } else { other.clone() };
            let (target, fields) = way(&token, &second);
            let answer = post(&target, fields).await;
            let expected = if is_same { (200, "restored") } else { (400, "") };
            assert_eq!((answer.status, outcome(&answer)), expected, "{target}");
            house.visitor().follow("/whoami", &token).await;
        }
    }
    let token = desk.mint("").await;
    for second in ["x", "hello", &token[1..], "0"] {
        let target = format!("/state?state={token}&state={second}");
        let answer = house.visitor().get(&target).send().await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("several_tokens")));
        let target = format!("/state?state={second}&state={token}");
        assert_eq!(house.visitor().get(&target).send().await.status, 400);
    }
    // What the row's parameter carries besides is no token, and none is meant by it.
    let target = format!("/state?$4DSID={token}&state=order-4711");
    assert_eq!(outcome(&house.visitor().get(&target).send().await), "restored");
    assert_eq!(outcome(&house.visitor().get("/state?state=a&state=b").send().await), "unknown");
}

const PLACES: &str = r#"
    { "class": "Probe", "method": "whoami", "regexPattern": "^/paid/(?<token>[^/]+)(/done)?$", "otp": { "param": "path:token" } },
    { "class": "Probe", "method": "whoami", "regexPattern": "^/asked/(?<token>[^/]+)$", "otp": { "param": "path:token", "confirm": "foreign" } },
    { "class": "Probe", "method": "whoami", "pattern": "in-header", "otp": { "param": "header:X-State" } },
    { "class": "Probe", "method": "whoami", "pattern": "in-json", "otp": { "param": "json:/metadata/token" } }"#;

fn multipart(fields: &[(&str, &str)]) -> (String, String) {
    let part = |(name, value): &(&str, &str)| {
        format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body: String = fields.iter().map(part).collect();
    ("multipart/form-data; boundary=xYz".to_owned(), format!("{body}--xYz--\r\n"))
}

#[tokio::test]
async fn a_multipart_form_brings_a_token_too() {
    let house = house().await;
    let desk = house.visitor();
    for value in ["{}", "{}.", " {}", "{}\r\n"] {
        let token = desk.mint("").await;
        let (kind, body) = multipart(&[("code", "7"), ("state", &value.replace("{}", &token))]);
        let ask = house.visitor().post("/state").header("content-type", &kind).body(body);
        assert_eq!(outcome(&ask.send_unchecked().await), "restored", "{value:?}");
    }
    let (one, other) = (desk.mint("").await, desk.mint("").await);
    let (kind, body) = multipart(&[("state", &one), ("state", &other)]);
    let ask = house.visitor().post("/state").header("content-type", &kind).body(body);
    assert_eq!(ask.send_unchecked().await.status, 400);
    assert_eq!(house.unspent().await.len(), 2);
}

#[tokio::test]
async fn platforms_bring_tokens_in_the_path_in_a_header_and_in_json() {
    let house = House::with_rows(settings(), PLACES).await;
    let desk = house.visitor();
    let mint = async || desk.mint("").await;
    let is_home = |answer: Answer, what: &str| assert_eq!(outcome(&answer), "restored", "{what}");
    for target in ["/paid/{}", "/paid/{}/done", "/paid/{}.", "/paid/{}%20", "/paid/{}?a=b"] {
        let target = target.replace("{}", &mint().await);
        is_home(house.visitor().get(&target).as_browser().send_unchecked().await, &target);
    }
    for verb in ["GET", "POST"] {
        let token = mint().await;
        let ask = house.visitor().call(verb, "/in-header").header("x-state", &token);
        is_home(ask.send_unchecked().await, "header");
    }
    for body in ["{\"metadata\":{\"token\":\"{}\"}}", "\u{feff}{\"metadata\":{\"token\":\"{}.\"}}"]
    {
        let body = body.replace("{}", &mint().await);
        let ask = house.visitor().post("/in-json").header("content-type", "application/json");
        is_home(ask.body(body.clone()).send_unchecked().await, &body);
    }
    // Other things in these places are no tokens, and other places bring none.
    let token = mint().await;
    let nested = json!({ "token": token, "metadata": [{ "token": token }] }).to_string();
    for ask in [
        house.visitor().get("/paid/order-4711"),
        house.visitor().post("/in-json").body(nested),
        house.visitor().post("/in-json").body(format!("{{\"metadata\":{{\"token\":\"{token}\"")),
        house.visitor().get("/in-json").body(json!({ "metadata": { "token": token } }).to_string()),
        house.visitor().get("/in-header").header("x-other", &token),
        house.visitor().get(&format!("/in-header?X-State={token}")).no_token_here(),
    ] {
        let answer = ask.send_unchecked().await;
        assert!(["unknown", "absent"].contains(&outcome(&answer)), "{}", outcome(&answer));
    }
    assert_eq!(house.unspent().await.len(), 1);
    let twice = house.visitor().get(&format!("/paid/{token}?$4DSID={}", mint().await));
    assert_eq!(twice.send_unchecked().await.status, 400);
}

#[tokio::test]
async fn a_token_in_the_path_is_asked_about_like_any_other() {
    let house = House::with_rows(settings(), PLACES).await;
    let desk = house.visitor();
    let id = desk.write("cart", "3").await;
    let (token, other) = (desk.mint("").await, desk.mint("").await);
    let phone = house.visitor();
    let target = format!("/asked/{token}?a=1");
    let page = phone.get(&target).as_browser().send_unchecked().await;
    let mut page = crate::support::asked::Asked::read(&target, &page);
    assert_eq!(house.unspent().await.len(), 2);
    // The click is for the token that was asked about.
    let honest = page.path.clone();
    page.path = honest.replace(&token, &other);
    let forged = page.press(&phone).send_unchecked().await;
    assert_ne!(outcome(&forged), "restored");
    assert_eq!(house.unspent().await.len(), 2);
    page.path = honest;
    let back = page.press(&phone).send_unchecked().await;
    assert_eq!((outcome(&back), &back.json()["id"]), ("restored", &json!(id)));
}

#[tokio::test]
async fn a_link_that_is_loaded_in_advance_is_asked_for_again() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    for path in ["/whoami", "/foreign", "/always", "/pay", "/strip", "/refuse"] {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            let ask = house.visitor().get(&with_token(path, &token)).header(name, value);
            let answer = ask.as_browser().send().await;
            assert_eq!(answer.status, 503, "{path} {name}: {value}");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.headers.get("set-cookie"), None);
        }
    }
    let ask = house.visitor().get(&format!("/state?state={token}")).header("purpose", "prefetch");
    assert_eq!(ask.send().await.status, 503);
    assert_eq!((house.probe.runs(), house.unspent().await.len()), (0, 1));
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
    let plain = house.visitor().get("/whoami").header("sec-purpose", "prefetch").send().await;
    assert_eq!(plain.status, 200, "without a token it is a request like any other");
}

#[tokio::test]
async fn a_form_that_no_handler_could_read_leaves_its_token_unspent() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let body = |fields: usize| format!("state={token}{}", "&f=x".repeat(fields - 1));
    let post = async |body: String| {
        let kind = "application/x-www-form-urlencoded";
        house
            .visitor()
            .post("/state")
            .header("content-type", kind)
            .body(body)
            .send_unchecked()
            .await
    };
    let refused = post(body(1_001)).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("form_too_large")));
    let fields: Vec<(&str, &str)> =
        std::iter::once(("state", &*token)).chain((0..1_000).map(|_| ("f", "x"))).collect();
    let (kind, large) = multipart(&fields);
    let ask = house.visitor().post("/state").header("content-type", &kind).body(large);
    assert_eq!(ask.send_unchecked().await.status, 400);
    assert_eq!(house.unspent().await.len(), 1);
    assert_eq!(outcome(&post(body(260)).await), "restored");
}

fn with_origin() -> Settings {
    let public_origin = PublicOrigin::parse("https://shop.example").ok();
    Settings { public_origin, ..settings() }
}

/// Asks the probe for a callback URL; the token in it is known to the ledger from now on.
async fn link(house: &House, visitor: &Visitor, path: &str, wish: &str) -> Result<String, u16> {
    let answer = visitor.get(&format!("/url?path={}&{wish}", encoded(path))).send().await;
    if answer.status != 200 {
        return Err(answer.status);
    }
    let url = answer.text();
    let digits = |text: &&str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let token = url.split(['=', '#', '&']).find(digits).unwrap().to_owned();
    house.ledger.add(&token);
    Ok(url.replace(&token, "TOKEN"))
}

#[tokio::test]
async fn links_are_written_so_that_they_arrive() {
    let house = House::open(with_origin()).await;
    let visitor = house.visitor();
    for (path, wish, expected) in [
        ("/whoami", "", "/whoami?%244DSID=TOKEN"),
        ("/whoami?", "", "/whoami?%244DSID=TOKEN"),
        ("/whoami?a=b", "", "/whoami?a=b&%244DSID=TOKEN"),
        ("/whoami?a=b&", "", "/whoami?a=b&%244DSID=TOKEN"),
        ("/whoami#done", "", "/whoami?%244DSID=TOKEN#done"),
        ("/whoami?a=b#done?x", "", "/whoami?a=b&%244DSID=TOKEN#done?x"),
        ("/whoami/ä?name=ö", "", "/whoami/%C3%A4?name=%C3%B6&%244DSID=TOKEN"),
        ("/whoami?s={CHECKOUT_SESSION_ID}", "", "/whoami?s={CHECKOUT_SESSION_ID}&%244DSID=TOKEN"),
        ("/{ORDER}/paid", "", "/{ORDER}/paid?%244DSID=TOKEN"),
        ("/state?code=7", "param=state", "/state?code=7&state=TOKEN"),
        ("/state", "", "/state?%244DSID=TOKEN"),
    ] {
        let expected = format!("https://shop.example{expected}");
        assert_eq!(link(&house, &visitor, path, wish).await, Ok(expected), "{path}");
        for token in house.unspent().await {
            house.store.inner().revoke(house.clock.now(), token.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn links_that_cannot_work_are_refused_at_the_call() {
    let house = House::open(with_origin()).await;
    let visitor = house.visitor();
    for (path, wish) in [
        ("/whoami?$4DSID=x", ""),
        ("/whoami?a=b&%244dsid=x", ""),
        ("/whoami?amp;$4DSID=x", ""),
        ("/state?state=x", "param=state"),
        ("/whoami", "param=state"),
        ("/state", "param=other"),
        ("/a/../b", ""),
        ("/whoami/..", ""),
        ("/whoami/%2e%2e/x", ""),
        ("/whoami/%zz", ""),
        ("/whoami%2Fx", ""),
        ("/whoami%00", ""),
        ("/whoami/%ff", ""),
        ("/nowhere", ""),
        ("/", ""),
        ("/rest/x", ""),
        ("/$shared/x", ""),
        ("/whoami", "for=Mail.nope"),
        ("/whoami", "for=Probe.whoami,Probe.whoAmI"),
    ] {
        assert_eq!(link(&house, &visitor, path, wish).await, Err(500), "{path} {wish}");
    }
    assert_eq!(visitor.get("/mint?for=Mail.nope").send().await.status, 500);
    assert_eq!(visitor.get("/mint?for=Probe.other,Probe.nope").send().await.status, 500);
    assert_eq!(house.unspent().await.len(), 0);
    visitor.mint("for=Probe.other").await;
}
