//! The way of a guest's browser to the page where it signs in, and back. On every store.

use callgate::IncomingMessage;
use callgate::OutgoingMessage;
use callgate::Session;
use callgate::Singleton;
use callgate::http::HandlerError;
use callgate::http::session::Privileges;
use callgate::settings::PublicOrigin;
use callgate::table::BasePath;
use std::sync::Arc;

use super::fresh;
use crate::support::House;
use crate::support::outcome;
use crate::support::settings;

const ROWS: &str = r#"[
    { "class": "Door", "method": "signIn", "pattern": "signin" },
    { "class": "Probe", "method": "whoami", "pattern": "members", "requires": { "any": ["member", "boss"], "signIn": "/signin" } },
    { "class": "Probe", "method": "whoami", "regexPattern": "/.+", "requires": { "any": "member", "signIn": "/signin" } }
]"#;

/// Signs in, and sends the browser back.
async fn sign_in(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    if let Some(path) = request.url_query().find("plant") {
        session.set("callgate.returnPath", path)?;
    }
    session.set_privileges(Privileges::from("member"))?;
    let otherwise = request.url_query().find("otherwise").unwrap_or("/home");
    Ok(OutgoingMessage::redirect(&session.take_return_path(otherwise))?)
}

async fn house() -> House {
    let door = Singleton::new("Door", ()).method("signIn", sign_in);
    House::with_classes(fresh().await, (settings(), ROWS), |builder| builder.singleton(door)).await
}

#[tokio::test]
async fn a_guest_signs_in_and_comes_back_once() {
    let house = house().await;
    let browser = house.visitor();
    let sent = browser.get("/members/7?page=2&b=%20x").as_browser().send().await;
    assert_eq!((sent.status, sent.header("location")), (303, "/signin"));
    let back = browser.get("/signin").as_browser().send().await;
    assert_eq!((back.status, back.header("location")), (303, "/members/7?page=2&b=%20x"));
    assert_eq!(browser.get(back.header("location")).as_browser().send().await.status, 200);
    let again = browser.get("/signin").as_browser().send().await;
    assert_eq!(again.header("location"), "/home", "once");
    // The page that was asked for last counts, and another browser has none.
    let other = house.visitor();
    for page in ["/members/1", "/members/2"] {
        other.get(page).as_browser().send().await;
    }
    assert_eq!(other.get("/signin").as_browser().send().await.header("location"), "/members/2");
    assert_eq!(
        house.visitor().get("/signin").as_browser().send().await.header("location"),
        "/home"
    );
}

#[tokio::test]
async fn no_address_leads_a_browser_off_this_site_after_its_sign_in() {
    let house = house().await;
    for target in [
        "//evil.example/members",
        "///evil.example",
        "/members/https://evil.example",
        "/members//evil.example",
        "/members?next=//evil.example",
        "http://evil.example/members",
        "/;//evil.example/x",
        "/members?callgate.returnPath=//evil.example",
        "/members?returnPath=https://evil.example&signIn=//evil.example",
    ] {
        let browser = house.visitor();
        let sent = browser.get(target).as_browser().send().await;
        if sent.status == 303 {
            assert_eq!(sent.header("location"), "/signin", "{target}");
        }
        let back = browser.get("/signin?next=//evil.example").as_browser().send().await;
        let location = back.header("location");
        let is_ours = location.starts_with('/') && !location.starts_with("//");
        assert!(is_ours && !location.contains('\\'), "{target}: {location}");
    }
    // Not even if a handler has written what a client sent.
    for planted in ["//evil.example", "https://evil.example", "/%5Cevil.example", "evil", ""] {
        let planted = planted.replace("%5C", "%255C");
        let back = house.visitor().get(&format!("/signin?plant={planted}")).send().await;
        let location = back.header("location");
        assert!(["/home", "/%5Cevil.example"].contains(&location), "{planted}: {location}");
    }
    let back = house.visitor().get("/signin?plant=/%5Cevil.example").send().await;
    assert_eq!(back.header("location"), "/home");
    // Nor if it passes on what a client sent as the path to go to otherwise.
    for (otherwise, to) in [("//evil.example", "/"), ("/%5Cevil.example", "/"), ("/mine", "/mine")]
    {
        let asked = format!("/signin?otherwise={otherwise}");
        assert_eq!(house.visitor().get(&asked).send().await.header("location"), to);
    }
}

#[tokio::test]
async fn only_a_browser_that_opens_a_page_is_sent_to_sign_in() {
    let house = house().await;
    let embedded = [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")];
    let script = [("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    for headers in [embedded, script] {
        let browser = house.visitor();
        let mut ask = browser.get("/members");
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        assert_eq!(ask.send().await.status, 401, "{headers:?}");
    }
    let browser = house.visitor();
    assert_eq!(browser.get("/members").send().await.status, 401, "a program");
    assert_eq!(browser.post("/members").as_browser().send().await.status, 401);
    assert_eq!(browser.call("HEAD", "/members").as_browser().send().await.status, 401);
    assert_eq!(house.stored().await.len(), 0, "nothing is kept for them");
    browser.get("/signin").send().await;
    let clerk = browser.get("/members").as_browser().send().await;
    assert_eq!(clerk.status, 200, "a member");
}

#[tokio::test]
async fn who_is_signed_in_without_the_privilege_is_refused_and_not_sent_in_circles() {
    let rows = r#"{ "class": "Probe", "method": "whoami", "pattern": "boss", "requires": { "any": ["boss"], "signIn": "/login" } }"#;
    let house = House::rows_on(fresh().await, settings(), rows).await;
    let clerk = house.visitor();
    clerk.get("/login?privileges=clerk").send().await;
    assert_eq!(clerk.get("/boss").as_browser().send().await.status, 403);
}

#[tokio::test]
async fn a_token_is_redeemed_before_and_is_not_kept_in_the_way_back() {
    let house = house().await;
    let rows = r#"{ "class": "Probe", "method": "whoami", "pattern": "boss", "requires": { "any": ["boss"], "signIn": "/signin" } }"#;
    let probe = House::rows_on(fresh().await, settings(), rows).await;
    let guest = probe.visitor();
    guest.write("a", "1").await;
    let token = guest.mint("").await;
    let phone = probe.visitor();
    let sent = phone.follow("/boss?n=1", &token).await;
    assert_eq!((sent.status, sent.header("location")), (303, "/signin"));
    let session = guest.session().await;
    assert_eq!(session["storage"]["callgate.returnPath"], "/boss?n=1", "{session}");
    let again = probe.visitor().follow("/whoami", &token).await;
    assert_eq!(outcome(&again), "used");
    drop(house);
}

#[tokio::test]
async fn below_a_mount_prefix_the_way_leads_there_and_back() {
    let mut settings = settings();
    settings.base_path = BasePath::parse("/tools").unwrap();
    settings.public_origin = Some(PublicOrigin::parse("http://shop.example").unwrap());
    let door = Singleton::new("Door", ()).method("signIn", sign_in);
    let add = |builder: callgate::GateBuilder| builder.singleton(door);
    let house = House::with_classes(fresh().await, (settings, ROWS), add).await;
    let browser = house.visitor();
    let sent = browser.get("/tools/members/1").header("host", "shop.example").as_browser();
    let sent = sent.send().await;
    assert_eq!((sent.status, sent.header("location")), (303, "/tools/signin"));
    let back = browser.get("/tools/signin").header("host", "shop.example").as_browser();
    assert_eq!(back.send().await.header("location"), "/tools/members/1");
}
