//! Which cookies count among others, and which response may give the browser another one.

use callgate::gate::Answer;
use serde_json::json;
use tokio::net::TcpListener;

use super::house;
use crate::support::House;
use crate::support::asked::Asked;
use crate::support::outcome;
use crate::support::peer::Peer;
use crate::support::peer::Said;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;
use crate::support::wire::Served;

const SESSION: &str = "4DSID_callgate";
const BINDING: &str = "4DBIND_callgate";
const CONFIRM: &str = "4DCONF";

/// A gate behind sockets, on the store of these scenarios.
async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Served::house(house().await, listener, "127.0.0.1:0").await
}

/// A browser that is signed in as an administrator.
async fn admin(house: &House) -> Visitor {
    let admin = house.visitor();
    assert_eq!(admin.get("/login?privileges=admin&user=Ann").send().await.status, 200);
    admin
}

/// What a response gives the browser under this name.
fn given(answer: &Answer, name: &str) -> Vec<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned());
    cookies.filter(|cookie| cookie.starts_with(&format!("{name}="))).collect()
}

/// So many cookies of the application, with one of callgate's in the middle.
fn among(count: usize, own: &str) -> Vec<String> {
    let mut all: Vec<String> = (0..count).map(|n| format!("app_{n}={}", "v".repeat(80))).collect();
    all.insert(count / 2, own.to_owned());
    all
}

#[tokio::test]
async fn a_session_is_found_among_two_hundred_cookies() {
    let served = served().await;
    let own = format!("{SESSION}={}", admin(&served.house).await.cookie().unwrap());
    let cookies = among(200, &own);
    let ask = format!("GET /admin HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", cookies.join("; "));
    assert_eq!(served.ask(&ask).await.status, 200, "HTTP/1.1, as browsers send it");

    let fields = |cookies: &[String]| {
        let own =
            [(":method", "GET"), (":scheme", "http"), (":path", "/admin"), (":authority", "x")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let cookies = cookies.iter().map(|cookie| ("cookie".to_owned(), cookie.clone()));
        own.into_iter().chain(cookies).collect::<Vec<_>>()
    };
    let mut peer = Peer::connect(served.public).await;
    peer.ask_in_pieces(1, &fields(&cookies)).await;
    assert_eq!(peer.answer_to(1).await, Said::Status(200), "HTTP/2, a field for each");
    let mut peer = Peer::connect(served.public).await;
    peer.ask_in_pieces(1, &fields(&[cookies.join("; ")])).await;
    assert_eq!(peer.answer_to(1).await, Said::Status(200), "HTTP/2, in one field");
}

#[tokio::test]
async fn a_header_that_is_too_large_for_its_cookies_is_431_and_never_a_guests() {
    let served = served().await;
    let own = format!("{SESSION}={}", admin(&served.house).await.cookie().unwrap());
    let cookies = among(600, &own);
    let ask = format!("GET /whoami HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", cookies.join("; "));
    let mut wire = served.connect().await;
    wire.send(&ask).await;
    let answer = wire.bare_answer().await;
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (431, None));
    let own = [(":method", "GET"), (":scheme", "http"), (":path", "/whoami"), (":authority", "x")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cookies = cookies.into_iter().map(|cookie| ("cookie".to_owned(), cookie));
    let mut peer = Peer::connect(served.public).await;
    peer.ask_in_pieces(1, &own.into_iter().chain(cookies).collect::<Vec<_>>()).await;
    assert_eq!(peer.answer_to(1).await, Said::Status(431));
}

#[tokio::test]
async fn of_several_session_cookies_the_authentic_one_counts() {
    let house = house().await;
    let own = admin(&house).await.cookie().unwrap();
    let forged = format!("{}x", &own[..own.len() - 1]);
    for cookies in [
        format!("{SESSION}={own}"),
        format!("{SESSION}={own}; {SESSION}={own}"),
        format!("{SESSION}=planted; {SESSION}={own}"),
        format!("{SESSION}={own}; a=b; {SESSION}={forged}; {SESSION}="),
        format!("{SESSION}=\"{own}\"; {SESSION}={own}"),
    ] {
        let answer = house.visitor().get("/admin").header("cookie", &cookies).send().await;
        assert_eq!(answer.status, 200, "{cookies}");
        assert!(given(&answer, SESSION).is_empty(), "{cookies}");
    }
    let answer = house.visitor().get("/whoami").header("cookie", &format!("{SESSION}=planted"));
    assert_eq!(given(&answer.send().await, SESSION).len(), 1, "a forged one is none");
}

#[tokio::test]
async fn of_several_authentic_session_cookies_none_counts_and_none_is_overwritten() {
    let house = house().await;
    let own = admin(&house).await.cookie().unwrap();
    let attacker = house.visitor();
    attacker.write("a", "1").await;
    let planted = attacker.cookie().unwrap();
    let token = attacker.mint("mode=share").await;
    let cookies = format!("{SESSION}={planted}; {SESSION}={own}");
    for target in [
        "/whoami",
        "/write?key=b&value=2",
        "/login?privileges=admin",
        "/logout",
        "/mint",
        &with_token("/whoami", &token),
    ] {
        let visitor = house.visitor();
        let answer = visitor.get(target).as_browser().header("cookie", &cookies).send().await;
        assert_eq!(answer.status, 200, "{target}");
        assert!(given(&answer, SESSION).is_empty(), "{target}");
        if target == "/whoami" {
            assert_eq!(answer.json()["guest"], json!(true));
        }
    }
    for cookie in [own, planted] {
        let still = house.visitor();
        still.plant(&cookie);
        assert_ne!(still.session().await["storage"], json!({ "b": "2" }));
        assert!(house.stored().await.len() >= 2);
    }
}

/// A browser that holds `cookie`, as another request of the same browser was sent.
fn tab(house: &House, cookie: &str) -> Visitor {
    let tab = house.visitor();
    tab.plant(cookie);
    tab
}

#[tokio::test]
async fn a_late_response_never_replaces_the_cookie_of_a_sign_in() {
    let house = house().await;
    // What the browser holds when it sends all its requests at once: a guest's cookie of a session
    // that is stored, or of one that is not.
    for is_stored in [true, false] {
        let browser = house.visitor();
        browser.session().await;
        if is_stored {
            browser.write("a", "1").await;
        }
        let old = browser.cookie().unwrap();
        browser.get("/login?privileges=admin").send().await;
        for target in ["/whoami", "/write?key=b&value=2", "/add?key=n", "/mint", "/logout"] {
            let late = tab(&house, &old).get(target).send().await;
            assert!(given(&late, SESSION).is_empty(), "{target}, stored: {is_stored}");
        }
        assert_eq!(browser.get("/admin").send().await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_stores_a_guests_session_gives_no_cookie_that_is_held_already() {
    let house = house().await;
    let browser = house.visitor();
    browser.session().await;
    let slow = tab(&house, &browser.cookie().unwrap());
    let lingering = tokio::spawn({
        let slow = slow.clone();
        async move { slow.get("/linger-mint").send().await }
    });
    house.probe.arrival().await;
    // The sign-in stores the session and overtakes the other request.
    browser.get("/login?privileges=admin").send().await;
    house.probe.door.add_permits(1);
    assert!(given(&lingering.await.unwrap(), SESSION).is_empty());
    let first = house.visitor();
    first.session().await;
    let answer = first.get("/write?key=a&value=1").send().await;
    assert!(given(&answer, SESSION).is_empty(), "it holds the cookie already");
}

#[tokio::test]
async fn a_guests_cookie_gets_no_new_date_once_its_session_is_stored() {
    let house = house().await;
    let browser = house.visitor();
    browser.session().await;
    let old = browser.cookie().unwrap();
    house.wait_secs(40 * 60);
    let renewed = tab(&house, &old).get("/whoami").send().await;
    assert_eq!(given(&renewed, SESSION).len(), 1, "half of its time is over");
    let slow = tab(&house, &old);
    let lingering = tokio::spawn(async move { slow.get("/peek").send().await });
    house.probe.arrival().await;
    let signed_in = browser.get("/login?privileges=admin").send().await;
    assert_eq!(given(&signed_in, SESSION).len(), 1);
    house.probe.door.add_permits(1);
    assert!(given(&lingering.await.unwrap(), SESSION).is_empty(), "a sign-in overtook it");
}

#[tokio::test]
async fn a_browser_that_was_put_out_can_begin_anew() {
    let house = house().await;
    let (member, phone) = (admin(&house).await, house.visitor());
    phone.follow("/share", &member.mint("").await).await;
    member.get("/login?privileges=other").send().await;
    let signed_in = phone.get("/login?privileges=admin&user=Bob").send().await;
    assert_eq!(given(&signed_in, SESSION).len(), 1, "what a sign-in gains is newer than anything");
    assert_eq!(phone.session().await["user"], json!("Bob"));
    let tablet = house.visitor();
    tablet.follow("/share", &member.mint("").await).await;
    member.get("/login?privileges=third").send().await;
    house.wait_secs(121);
    let answer = tablet.get("/write?key=c&value=3").send().await;
    assert_eq!(given(&answer, SESSION).len(), 1, "no response can be that late");
    assert_eq!(tablet.session().await["storage"], json!({ "c": "3" }));
}

#[tokio::test]
async fn a_cookie_that_opens_nothing_any_more_is_replaced_once_something_is_written() {
    let house = house().await;
    let browser = house.visitor();
    browser.write("a", "1").await;
    house.wait_secs(61 * 60);
    let read = browser.get("/whoami").send().await;
    assert!(given(&read, SESSION).is_empty() && read.json()["storage"] == json!({}));
    let wrote = browser.get("/write?key=b&value=2").send().await;
    assert_eq!(given(&wrote, SESSION).len(), 1);
    assert_eq!(browser.session().await["storage"], json!({ "b": "2" }));
}

#[tokio::test]
async fn the_binding_cookie_is_found_among_others_and_several_are_none() {
    let house = house().await;
    let desk = house.visitor();
    let token = desk.mint("").await;
    let own = desk.find_cookie(BINDING).unwrap();
    let other = house.visitor();
    other.mint("").await;
    let planted = other.find_cookie(BINDING).unwrap();
    let open = async |cookies: &str| {
        let target = with_token("/foreign", &token);
        house.visitor().get(&target).as_browser().header("cookie", cookies).send().await
    };
    let both = format!("{BINDING}={planted}; {BINDING}={own}");
    assert!(Asked::is(&open(&both).await), "nobody can say which is this browser's");
    let mint = house.visitor().get("/mint").header("cookie", &both).send().await;
    house.ledger.add(&mint.text());
    assert!(given(&mint, BINDING).is_empty(), "and none is overwritten");
    let many = among(200, &format!("{BINDING}={own}; {BINDING}=x; {BINDING}={own}")).join("; ");
    assert_eq!(outcome(&open(&many).await), "restored");
}

#[tokio::test]
async fn the_cookie_of_the_page_counts_beside_others_of_its_name_with_its_own_proof_only() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let (person, attacker) = (house.visitor(), house.visitor());
    let page = person.asked("/foreign", &token).await;
    let own = person.find_cookie(CONFIRM).unwrap();
    attacker.asked("/foreign", &token).await;
    let planted = attacker.find_cookie(CONFIRM).unwrap();
    let press =
        async |cookies: &str| page.press(&house.visitor()).header("cookie", cookies).send().await;
    for wrong in [
        format!("{CONFIRM}={planted}"),
        format!("{CONFIRM}={planted}; {CONFIRM}={}", "0".repeat(32)),
        format!("{CONFIRM}=x"),
        "a=b".to_owned(),
    ] {
        assert_eq!(press(&wrong).await.status, 403, "{wrong}");
    }
    assert_eq!(house.unspent().await.len(), 1);
    let beside =
        format!("{CONFIRM}={planted}; {}", among(200, &format!("{CONFIRM}={own}")).join("; "));
    // The page that is shown again does not throw a cookie away that another page was made for.
    let again = house.visitor().get(&with_token("/foreign", &token)).as_browser();
    let again = again.header("cookie", &beside).send().await;
    assert!(given(&again, CONFIRM)[0].contains(&planted));
    assert_eq!(outcome(&press(&beside).await), "restored");
}
