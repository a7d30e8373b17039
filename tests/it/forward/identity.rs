//! What an upstream learns of a request, and what only callgate may know.

use callgate::http::hosts::HostRule;
use callgate::http::proxies::TrustedProxies;
use callgate::settings::PublicOrigin;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;

use callgate::Settings;
use callgate::http::ResponseBody;
use hyper::Response;
use serde_json::json;

use crate::forward::house;
use crate::forward::served;
use crate::support::TOKEN_KEY;
use crate::support::settings;
use crate::support::upstream::Note;
use crate::support::upstream::Upstream;
use crate::support::visitor::with_token;
use crate::support::wire::Wire;

#[tokio::test]
async fn an_upstream_is_told_whose_request_it_is() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let visitor = house.visitor();
    let guest = visitor.get("/up").send().await;
    assert_eq!(guest.status, 200, "{}", guest.text());
    let asked = upstream.only();
    assert_eq!(asked.header("x-callgate-session"), visitor.id().await);
    assert_eq!(asked.header("x-callgate-request-id"), guest.header("x-request-id"));
    assert_eq!(asked.header("x-callgate-otp"), "absent");
    for name in ["x-callgate-user", "x-callgate-privileges"] {
        assert!(!asked.headers.contains_key(name), "a guest has no {name}");
    }
    let user = "J%C3%BCrgen%2C%20x";
    visitor.get(&format!("/login?privileges=b,a%20c&user={user}")).send().await;
    visitor.get("/up").send().await;
    let asked = upstream.asked().pop().unwrap();
    assert_eq!(asked.header("x-callgate-user"), "J%C3%BCrgen%2C%20x");
    assert_eq!(asked.header("x-callgate-privileges"), "b,a%20c");
}

#[tokio::test]
async fn an_upstream_gets_a_capability_where_the_session_api_is_served() {
    let upstream = Upstream::with(async |note: Arc<Note>, request| {
        note.read(request).await;
        Response::new(ResponseBody::empty())
    })
    .await;
    let house = house(&upstream, settings()).await;
    house.visitor().get("/up").header("x-callgate-capability", "forged").send().await;
    let capability = upstream.only().header("x-callgate-capability").to_owned();
    assert!(capability.len() == 64 && capability.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let closed = Settings { internal: None, ..settings() };
    let house = crate::forward::house(&upstream, closed).await;
    house.visitor().get("/up").header("x-callgate-capability", "forged").send().await;
    assert!(!upstream.asked()[1].headers.contains_key("x-callgate-capability"));
}

#[tokio::test]
async fn what_an_upstream_writes_stands_when_its_answer_arrives() {
    let served = Arc::new(OnceLock::<SocketAddr>::new());
    let internal = Arc::clone(&served);
    let upstream = Upstream::with(move |note: Arc<Note>, request| {
        let internal = Arc::clone(&internal);
        async move {
            let asked = note.read(request).await;
            let capability = asked.header("x-callgate-capability");
            let mut wire = Wire::open(*internal.get().unwrap()).await;
            let body = r#"{"step":"paid"}"#;
            wire.send(format!(
                "PATCH /session/storage HTTP/1.1\r\nHost: {}\r\nX-Callgate-Capability: \
                 {capability}\r\nContent-Type: application/merge-patch+json\r\nContent-Length: \
                 {}\r\n\r\n{body}",
                internal.get().unwrap(),
                body.len()
            ))
            .await;
            let mut response = Response::new(ResponseBody::empty());
            let status = wire.bare_answer().await.status;
            response.headers_mut().insert("x-written", status.to_string().parse().unwrap());
            response
        }
    })
    .await;
    let gate = crate::forward::served(&upstream, settings()).await;
    served.set(gate.internal).unwrap();
    let mut wire = gate.connect().await;
    wire.send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let answer = wire.answer_without_body().await;
    assert!(answer.header("x-written").starts_with("20"), "{:?}", answer.headers);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    wire.send(format!("GET /read?key=step HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")).await;
    assert_eq!(wire.answer().await.json()["result"], "paid");
}

#[tokio::test]
async fn a_callback_reaches_the_upstream_in_its_session_and_without_its_token() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let owner = house.visitor();
    let id = owner.write("step", "waiting").await;
    let token = owner.mint("").await;
    let browser = house.visitor();
    let answer = browser.follow("/up/back?code=%201&x=a+b", &token).await;
    assert_eq!(answer.status, 200);
    let asked = upstream.only();
    assert_eq!(asked.target, "/base/up/back?code=%201&x=a+b");
    assert_eq!(asked.header("x-callgate-otp"), "restored");
    assert_eq!(asked.header("x-callgate-session"), id);
    assert_eq!(browser.id().await, id, "the browser shares the session from now on");
    browser.follow("/up", &token).await;
    assert_eq!(upstream.asked()[1].header("x-callgate-otp"), "used");
}

#[tokio::test]
async fn a_server_that_calls_back_gets_no_cookie() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let token = house.visitor().mint("").await;
    let answer = house.visitor().call_back("/up-context", &token).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.get("set-cookie").is_none());
    assert_eq!(upstream.only().header("x-callgate-otp"), "restored");
}

#[tokio::test]
async fn a_token_in_a_form_is_taken_out_of_it() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let token = house.visitor().mint("").await;
    let form = [("code", "a b"), ("state", &*token), ("x", "&=")];
    let answer = house.visitor().post("/up-state").form(&form).send().await;
    assert_eq!(answer.status, 200);
    let asked = upstream.only();
    assert_eq!(asked.header("x-callgate-otp"), "restored");
    assert_eq!((&*asked.body, asked.header("content-length")), (&b"code=a+b&x=%26%3D"[..], "17"));
    let token = house.visitor().mint("").await;
    house.visitor().post(&format!("/up-state?y=1&state={token}")).form(&[("a", "b")]).send().await;
    let asked = upstream.asked().pop().unwrap();
    assert_eq!((&*asked.target, &*asked.body), ("/base/up-state?y=1", &b"a=b"[..]));
    let plain = house.visitor().post("/up-state").body("state=hello").send().await;
    assert_eq!(plain.json()["body"], "state=hello");
}

#[tokio::test]
async fn nobody_can_claim_to_be_somebody_else() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let mut ask = house.visitor().get("/up");
    for name in [
        "X-Callgate-Session",
        "X-Callgate-User",
        "x_callgate_user",
        "X-CALLGATE_privileges",
        "X-Callgate-Privileges",
        "X-Callgate-Otp",
        "X-Callgate-Request-Id",
        "X-Callgate-Capability",
        "X-Callgate-Anything",
        "X.Callgate.Session",
        "X!Callgate-User",
        "X~Forwarded~For",
        "X.Real.IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X_Original_URL",
        "X_Rewrite_Url",
        "X-Forwarded",
        "Client-IP",
        "Client_IP",
        "True-Client-IP",
        "X-Client-IP",
        "x_client_ip",
        "X_Real_IP",
        "X-Remote-Addr",
        "CF-Connecting-IP",
        "X-Cluster-Client-IP",
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X_HTTP_Method_Override",
        "X-Method-Override",
        "Content_Length",
        "Transfer_Encoding",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Keep-Alive",
        "Expect",
        "X-Hop",
    ] {
        ask = ask.header(name, "for=evil");
    }
    let ask = ask.header("connection", "x-hop, x-callgate-session").header("x-own", "kept");
    assert_eq!(ask.send().await.status, 200);
    let asked = upstream.only();
    for (name, value) in &asked.headers {
        assert!(!value.to_str().unwrap().contains("evil"), "{name}: {value:?}");
    }
    assert_eq!((asked.header("x-own"), asked.header("x-callgate-otp")), ("kept", "absent"));
    assert_eq!(asked.header("x-callgate-session").len(), 32);
    assert_eq!(asked.header("forwarded"), "host=\"localhost\";proto=http");
}

#[tokio::test]
async fn where_a_request_came_from_is_told_by_callgate() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings()).await;
    let request = "GET /up HTTP/1.1\r\nHost: shop.test:81\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    assert_eq!(served.ask(request).await.status, 200);
    let asked = upstream.only();
    assert_eq!(asked.header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(asked.header("x-forwarded-host"), "", "anybody could have written it");
    assert_eq!(asked.header("x-forwarded-proto"), "http");
    assert_eq!(asked.header("forwarded"), "for=127.0.0.1;proto=http");
    assert_eq!(asked.header("host"), upstream.address.to_string());
}

/// The host that an upstream is told, for a request with these fields.
async fn told_host(settings: Settings, fields: &str) -> String {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings).await;
    let answer = served.ask(&format!("GET /up HTTP/1.1\r\n{fields}\r\n")).await;
    assert_eq!(answer.status, 200, "{fields}");
    let asked = upstream.only();
    let host = asked.header("x-forwarded-host").to_owned();
    let forwarded = asked.header("forwarded");
    assert_eq!(forwarded.contains(&format!("host=\"{host}\"")), !host.is_empty(), "{forwarded}");
    host
}

#[tokio::test]
async fn an_upstream_is_told_the_host_that_the_settings_know_and_no_other() {
    let origin = PublicOrigin::parse("https://shop.example:8443").ok();
    let rules = |names: &[&str]| names.iter().map(|name| HostRule::parse(name).unwrap()).collect();
    let proxy = || TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()]);
    let public = || Settings { public_origin: origin.clone(), ..settings() };
    let listed = || Settings { hosts: rules(&["shop.example", "app.internal"]), ..settings() };
    let proxied = || Settings { trusted_proxies: proxy(), ..listed() };
    let evil = "Host: evil.test\r\nX-Forwarded-Host: evil.test\r\n";
    let internal = "Host: app.internal\r\nX-Forwarded-Host: shop.example\r\n";
    for (settings, fields, told) in [
        (settings(), evil, ""),
        (public(), "Host: localhost\r\nX-Forwarded-Host: evil.test\r\n", "shop.example:8443"),
        (
            Settings { trusted_proxies: proxy(), ..public() },
            "Host: shop.example:8443\r\n",
            "shop.example:8443",
        ),
        (listed(), "Host: shop.example\r\nX-Forwarded-Host: evil.test\r\n", "shop.example"),
        (listed(), internal, "app.internal"),
        (proxied(), internal, "shop.example"),
        (proxied(), "Host: app.internal\r\nX-Forwarded-Host: evil.test\r\n", "app.internal"),
        (
            proxied(),
            "Host: app.internal\r\nX-Forwarded-Host: evil.test, shop.example\r\n",
            "shop.example",
        ),
        (Settings { trusted_proxies: proxy(), ..settings() }, evil, ""),
    ] {
        assert_eq!(told_host(settings, fields).await, told, "{fields}");
    }
}

#[tokio::test]
async fn what_only_callgate_says_does_not_come_back_from_an_upstream() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let fields = ["X-Callgate-Capability", "x_callgate_session", "X.Callgate-Otp", "X-Own"];
    let query: Vec<String> = fields.iter().map(|name| format!("h={name}:told")).collect();
    let answer = house.visitor().get(&format!("/up?{}", query.join("&"))).send().await;
    assert_eq!(answer.header("x-own"), "told");
    for name in &fields[..3] {
        assert!(!answer.headers.contains_key(*name), "{name}");
    }
}

#[tokio::test]
async fn callgates_cookies_stay_with_callgate_and_others_pass() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let visitor = house.visitor();
    visitor.write("a", "b").await;
    visitor.mint("").await;
    assert!(visitor.cookie().is_some() && visitor.find_cookie("4DBIND_callgate").is_some());
    visitor.plant_as("__Host-4DSID_callgate", "stale-but-still-a-credential-of-this-application");
    visitor.plant_as("4DCONF", "x");
    visitor.plant_as("theme", "dark");
    visitor.plant_as("lang", "\"de\"");
    visitor.get("/up").header("referer", "https://x.test/a?b").send().await;
    let asked = upstream.only();
    assert_eq!(asked.header("cookie"), "lang=\"de\"; theme=dark");
    assert_eq!(asked.header("referer"), "https://x.test/a?b");
    let token = visitor.mint("").await;
    let referer = format!("https://shop.test{}", with_token("/page", &token));
    visitor.get("/up").header("referer", &referer).send().await;
    assert!(!upstream.asked()[1].headers.contains_key("referer"));
    // Proxies in front write down what was asked of them.
    let ask = visitor.get("/up").header("x-envoy-original-path", &with_token("/page", &token));
    ask.header("x-page", "/page?4DSID=no").send().await;
    let asked = upstream.asked().remove(2);
    assert!(!format!("{:?}", asked.headers).contains(&token));
    assert_eq!(asked.header("x-page"), "/page?4DSID=no");
}

/// Clients of the accounts send a credential in a field of its own; another application may use
/// the same field for what it likes.
#[tokio::test]
async fn a_credential_in_a_field_stays_with_callgate_too() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let visitor = house.visitor();
    visitor.write("n", "1").await;
    let credential = visitor.cookie().unwrap();
    for sent in [&*credential, "its-own"] {
        house.visitor().get("/up").header("x-session-id", sent).send().await;
    }
    let asked = upstream.asked();
    assert!(!asked[0].headers.contains_key("x-session-id"));
    assert_eq!(asked[1].header("x-session-id"), "its-own");
}

#[tokio::test]
async fn an_upstream_cannot_set_callgates_cookies_or_clear_the_browser() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let fields = [
        "set-cookie:4DSID_callgate=planted",
        "set-cookie:__Host-4DSID_callgate=planted",
        "set-cookie:4dbind_callgate=planted",
        "set-cookie:4DCONF=planted",
        // Browsers send back a cookie without a name as its bare value (RFC 6265bis §5.8.3).
        "set-cookie:=4DSID_callgate=planted",
        "set-cookie:%20=%20__Host-4DSID_callgate=planted",
        "set-cookie:own=1;%20Path=/",
        "set-cookie:own2=2",
        "clear-site-data:*",
        "connection:x-hop",
        "x-hop:1",
        "x-own:kept",
    ];
    let query = fields.map(|field| format!("h={field}")).join("&");
    let answer = house.visitor().get(&format!("/up?{query}")).send().await;
    assert_eq!(answer.status, 200);
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies.map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies[..2], ["own=1; Path=/", "own2=2"]);
    assert!(cookies[2].starts_with("4DSID_callgate=") && !cookies[2].contains("planted"));
    assert_eq!(cookies.len(), 3);
    assert_eq!(answer.header("x-own"), "kept");
    for gone in ["clear-site-data", "x-hop", "connection"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn what_a_row_demands_is_demanded_before_anything_is_forwarded() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    assert_eq!(house.visitor().get("/up-admin").send().await.status, 401);
    assert_eq!(house.visitor().post("/up-get").send().await.status, 405);
    assert_eq!(house.visitor().get("/up/%2e%2e/x").send().await.status, 400);
    let token = house.visitor().mint("").await;
    let other = house.visitor().mint("").await;
    let doubled = format!("/up?{TOKEN_KEY}={token}&{TOKEN_KEY}={other}");
    assert_eq!(house.visitor().get(&doubled).send().await.status, 400);
    assert!(upstream.asked().is_empty());
    let visitor = house.visitor();
    visitor.get("/login?privileges=admin").send().await;
    assert_eq!(visitor.get("/up-admin").send().await.status, 200);
}

#[tokio::test]
async fn the_path_that_was_matched_is_the_path_that_is_sent() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    for (asked, sent) in [
        ("/up", "/base/up"),
        ("//up//a/", "/base/up/a/"),
        ("/%75p/%61%2562?a=%20&b", "/base/up/a%2562?a=%20&b"),
        ("/up/caf%C3%A9%3Fx%23", "/base/up/caf%C3%A9%3Fx%23"),
    ] {
        let answer = house.visitor().get(asked).send().await;
        assert_eq!(answer.json()["target"], json!(sent));
    }
}
