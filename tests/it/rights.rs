//! What a request can do whose right to its session has ended while it ran: nothing. On every store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use callgate::gate::Answer;
use callgate::store::live::Config;
use callgate::store::memory::MemoryStore;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use super::house;
use crate::size;
use crate::support::House;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;
use crate::support::wire::Served;
use crate::support::wire::Wire;

/// Everything that a handler can do to a session.
const DEEDS: [&str; 14] = [
    "write",
    "remove",
    "idle",
    "clear",
    "update",
    "mint",
    "login",
    "keep",
    "rename",
    "logout",
    "reload",
    "end",
    "write,restore",
    "write,nothing",
];

/// How a right ends while others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    SignIn,
    Transfer,
    EndDevice,
}

/// What the victim's session is, for whoever may see it.
async fn whole(victim: &Visitor) -> Value {
    victim.session().await
}

/// The victim follows a link and ends the rights of all others; his session from then on.
async fn take(house: &House, victim: &Visitor, link: &str, way: Way) {
    match way {
        Way::SignIn => {
            victim.follow("/share", link).await;
            let answer = victim.get("/login?privileges=boss&user=Victim").send().await;
            assert_eq!(answer.status, 200);
        }
        Way::Transfer => drop(victim.follow("/transfer", link).await),
        Way::EndDevice => {
            victim.follow("/share", link).await;
            let devices = victim.get("/devices").send().await.json()["result"].take();
            for device in devices.as_array().unwrap() {
                if device["current"] == json!(false) {
                    let target = format!("/endDevice?id={}", device["id"].as_str().unwrap());
                    assert_eq!(victim.get(&target).send().await.json()["result"], json!(true));
                }
            }
        }
    }
    victim.write("secret", "of-the-victim").await;
    assert!(!house.stored().await.is_empty());
}

fn is_put_out(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 409, "{what}: {}", answer.text());
    assert_eq!(answer.header("retry-after"), "0", "{what}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(answer.json()["code"], json!("sessionReplaced"), "{what}");
    shows_nothing(answer, what);
}

/// Neither what the session has become, nor a cookie of it.
fn shows_nothing(answer: &Answer, what: &str) {
    let text = answer.text();
    assert!(!text.contains("Victim") && !text.contains("victim"), "{what}: {text}");
    assert_eq!(answer.header("set-cookie"), "", "{what}");
}

#[tokio::test]
async fn a_browser_that_was_put_out_does_nothing_under_way() {
    for way in [Way::SignIn, Way::Transfer, Way::EndDevice] {
        let house = house().await;
        for deed in DEEDS {
            let what = format!("{deed} after {way:?}");
            let (attacker, victim) = (house.visitor(), house.visitor());
            attacker.write("n", "bait").await;
            let (link, other) = (attacker.mint("").await, house.visitor().mint("").await);
            let target = format!("/act?do={deed}&token={other}");
            let acting = tokio::spawn(attacker.get(&target).no_token_here().send_unchecked());
            house.probe.arrival().await;
            take(&house, &victim, &link, way).await;
            let before = whole(&victim).await;
            house.probe.door.add_permits(1);
            is_put_out(&acting.await.unwrap(), &what);
            assert_eq!(whole(&victim).await, before, "{what}");
            assert_eq!(
                house.unspent().await.len(),
                DEEDS.iter().position(|it| *it == deed).unwrap() + 1,
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_context_ends_with_the_sign_in_of_somebody_else() {
    for way in [Way::SignIn, Way::Transfer] {
        let house = house().await;
        for row in ["/act", "/context-act"] {
            for deed in DEEDS {
                let what = format!("{row} {deed} after {way:?}");
                // Where a context of `auto` may not even try, it is told so.
                if row == "/act" && ["login", "keep", "rename"].contains(&deed) {
                    continue;
                }
                let (attacker, victim) = (house.visitor(), house.visitor());
                attacker.write("n", "bait").await;
                let (link, own) = (attacker.mint("").await, attacker.mint("").await);
                let target = with_token(&format!("{row}?do={deed}"), &own);
                let acting = tokio::spawn(house.visitor().get(&target).send());
                house.probe.arrival().await;
                take(&house, &victim, &link, way).await;
                let before = whole(&victim).await;
                house.probe.door.add_permits(1);
                is_put_out(&acting.await.unwrap(), &what);
                assert_eq!(whole(&victim).await, before, "{what}");
                assert!(house.unspent().await.is_empty(), "{what}");
            }
        }
    }
}

/// A guest that made room for another comes again under its id. Its session is a new one, in which a
/// context of the old one has no right.
#[tokio::test]
async fn a_context_ends_with_the_guest_that_made_room() {
    let capacity = Config { sessions_max: 10, guest_percent: 10, ..Config::default() };
    let house = House::on(Arc::new(MemoryStore::with(capacity)), settings()).await;
    let guest = house.visitor();
    let id = guest.write("n", "bait").await;
    let target = with_token("/context-act?do=write", &guest.mint("").await);
    let acting = tokio::spawn(house.visitor().get(&target).send());
    house.probe.arrival().await;
    house.wait_secs(1);
    house.visitor().write("n", "other").await;
    assert!(house.stored().await.iter().all(|open| open.record.id.to_string() != id));
    assert_eq!(guest.write("n", "again").await, id);
    house.probe.door.add_permits(1);
    is_put_out(&acting.await.unwrap(), "write");
    assert_eq!(guest.session().await["storage"], json!({ "n": "again" }));
}

#[tokio::test]
async fn what_only_looks_at_its_own_view_is_shown_what_there_was() {
    let house = house().await;
    let (attacker, victim) = (house.visitor(), house.visitor());
    attacker.write("n", "bait").await;
    let link = attacker.mint("").await;
    let acting = tokio::spawn(attacker.get("/act?do=nothing").send());
    house.probe.arrival().await;
    take(&house, &victim, &link, Way::SignIn).await;
    house.probe.door.add_permits(1);
    let answer = acting.await.unwrap();
    assert_eq!((answer.status, &answer.json()["storage"]), (200, &json!({ "n": "bait" })));
    shows_nothing(&answer, "looking");
}

#[tokio::test]
async fn a_context_that_nobody_asked_for_gains_nothing() {
    let house = house().await;
    for wish in [
        "privileges=a",
        "privileges=a&keep=1",
        "user=Mallory",
        "user=Mallory&keep=1",
        "privileges=",
        "privileges=nobody",
        "roles=nobody&keep=1",
    ] {
        let member = house.visitor();
        let id = member.write("a", "1").await;
        for row in ["/login", "/share-login"] {
            let mode = if row == "/login" { "" } else { "mode=auto" };
            let target = with_token(&format!("{row}?{wish}"), &member.mint(mode).await);
            let answer = house.visitor().get(&target).send().await;
            assert_eq!(answer.status, 403, "{row} {wish}: {}", answer.text());
            assert_eq!(answer.json()["code"], json!("contextMayNotGain"), "{row} {wish}");
            assert_eq!(answer.header("set-cookie"), "");
        }
        let session = member.session().await;
        assert_eq!((&session["id"], &session["guest"]), (&json!(id), &json!(true)), "{wish}");
        assert_eq!((&session["user"], &session["privileges"]), (&json!(""), &json!([])), "{wish}");
        // The same link, opened by a person, signs in.
        let token = member.mint("").await;
        let browser = house.visitor();
        assert_eq!(browser.follow(&format!("/login?{wish}"), &token).await.status, 200);
        assert_eq!(browser.session().await["guest"], json!(false), "{wish}");
    }
}

#[tokio::test]
async fn neither_does_one_that_restores_a_token_by_itself() {
    let house = house().await;
    for deed in ["restore,login", "restore,keep", "restore,rename", "restore,clear,keep"] {
        let member = house.visitor();
        member.write("a", "1").await;
        let token = member.mint("").await;
        let target = format!("/act-at-once?do={deed}&token={token}");
        let answer = house.visitor().get(&target).send_unchecked().await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("contextMayNotGain")));
        assert_eq!(member.session().await["guest"], json!(true), "{deed}");
    }
}

#[tokio::test]
async fn saying_what_is_so_already_is_no_gain() {
    let house = house().await;
    let member = house.visitor();
    member.get("/login?privileges=admin&user=Ann").send().await;
    for wish in ["privileges=admin", "privileges=ADMIN&user=Ann", "privileges="] {
        let target = with_token(&format!("/login?{wish}"), &member.mint("").await);
        assert_eq!(house.visitor().get(&target).send().await.status, 200, "{wish}");
    }
    // Whoever takes away first has nothing left to repeat.
    let target = with_token("/act-at-once?do=clear,keep", &member.mint("").await);
    assert_eq!(house.visitor().get(&target).send().await.status, 403);
    assert_eq!(member.session().await["privileges"], json!(["admin"]));
}

#[tokio::test]
async fn a_context_that_row_or_mint_ask_for_gains_and_puts_nobody_out() {
    let house = house().await;
    for (row, wish) in [("/context-login", ""), ("/login", "mode=context")] {
        let (member, phone) = (house.visitor(), house.visitor());
        member.write("a", "1").await;
        phone.follow("/share", &member.mint("").await).await;
        let target = with_token(&format!("{row}?privileges=paid"), &member.mint(wish).await);
        assert_eq!(house.visitor().get(&target).send().await.status, 200, "{row}");
        for browser in [&member, &phone] {
            assert_eq!(browser.session().await["privileges"], json!(["paid"]), "{row}");
        }
    }
}

#[tokio::test]
async fn whoever_gains_himself_goes_on_under_his_new_right() {
    let house = house().await;
    for deeds in [
        "login,mint,update,reload,keep",
        "login,parallel,parallel",
        "update,login,parallel,clear,login,parallel",
        "parallel,login,end,nothing",
    ] {
        let (member, phone) = (house.visitor(), house.visitor());
        let id = member.write("n", "before").await;
        phone.follow("/share", &member.mint("").await).await;
        let before = member.cookie();
        let answer = member.get(&format!("/act-at-once?do={deeds}")).send().await;
        assert_eq!(answer.status, 200, "{deeds}: {}", answer.text());
        if !deeds.contains("end") {
            assert_ne!(member.cookie(), before, "{deeds}");
            let session = member.session().await;
            assert_eq!((&session["id"], &session["storage"]["n"]), (&json!(id), &json!("updated")));
        }
        assert_ne!(phone.id().await, id, "{deeds}");
    }
}

#[tokio::test]
async fn each_further_gain_puts_the_others_out() {
    let house = house().await;
    for (first, then) in [
        // A further privilege under the same name.
        ("/login?privileges=user&user=Ann", "/login?privileges=admin"),
        ("/login?privileges=user&user=Ann", "/login?privileges=admin&user=Ann"),
        // The same ones, having taken them away in the same request.
        ("/login?privileges=admin&user=Ann", "/act-at-once?do=clear,login"),
        // Another name for the same ones.
        ("/login?privileges=admin&user=Ann", "/login?privileges=admin&user=Bob"),
        // None at all, where nobody was known.
        ("/whoami", "/login?privileges="),
    ] {
        let (member, phone) = (house.visitor(), house.visitor());
        member.write("a", "1").await;
        member.get(first).send().await;
        let id = member.id().await;
        phone.follow("/share", &member.mint("").await).await;
        let (unspent, before) = (member.mint("").await, member.cookie());
        assert_eq!(phone.id().await, id);
        assert_eq!(member.get(then).send().await.status, 200);
        assert_ne!(member.cookie(), before, "{then} after {first}");
        assert_eq!(member.id().await, id);
        assert_ne!(phone.id().await, id, "{then} after {first}");
        assert_ne!(outcome(&house.visitor().follow("/share", &unspent).await), "restored");
    }
}

/// What was no gain when the handler looked is one when it is written: another request of the same
/// browser has taken the privileges away meanwhile.
#[tokio::test]
async fn whether_somebody_gains_is_decided_on_what_the_session_is_when_it_is_written() {
    let house = house().await;
    for deeds in ["login", "login,mint", "login,update", "login,nothing,keep"] {
        let (member, phone) = (house.visitor(), house.visitor());
        member.get("/login?privileges=admin").send().await;
        let id = member.id().await;
        phone.follow("/share", &member.mint("").await).await;
        assert_eq!(phone.id().await, id);
        let before = member.cookie();
        let acting = tokio::spawn(member.get(&format!("/act?do={deeds}")).send());
        house.probe.arrival().await;
        member.get("/clear").send().await;
        house.probe.door.add_permits(1);
        let answer = acting.await.unwrap();
        assert_eq!(answer.status, 200, "{deeds}: {}", answer.text());
        let session = member.session().await;
        assert_eq!((&session["id"], &session["privileges"]), (&json!(id), &json!(["admin"])));
        assert_ne!(member.cookie(), before, "{deeds} rotates nothing");
        assert_ne!(phone.id().await, id, "{deeds} keeps the others");
    }
    // In a context that nobody asked for, what was no gain was nothing to be written.
    let member = house.visitor();
    member.get("/login?privileges=admin").send().await;
    let target = with_token("/act?do=login", &member.mint("").await);
    let acting = tokio::spawn(house.visitor().get(&target).send());
    house.probe.arrival().await;
    member.get("/clear").send().await;
    house.probe.door.add_permits(1);
    let answer = acting.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(member.session().await["privileges"], json!([]));
}

/// Somebody polls a handler that updates the session while somebody else signs in to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_polls_while_somebody_signs_in_sees_nothing_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = Served::house(house().await, listener, "127.0.0.1:0").await;
    let name = served.house.cookie_name().to_owned();
    poll_rounds(&[served.public], &name, size(12, 1_000)).await;
}

/// So many rounds over sockets: on one node somebody signs in, on the others somebody polls.
#[expect(clippy::print_stdout, reason = "figures are collected from the output of the tests")]
pub(crate) async fn poll_rounds(nodes: &[SocketAddr], cookie_name: &str, rounds: usize) {
    let (mut victim, mut replaced) = (Browser::new(nodes[0], cookie_name).await, 0);
    for round in 0..rounds {
        let mut attacker = Browser::new(nodes[round % nodes.len()], cookie_name).await;
        attacker.get("/write?key=n&value=bait").await;
        let link = attacker.get("/mint").await.text();
        let over = Arc::new(AtomicBool::new(false));
        let mut pollers = Vec::new();
        for n in 0..2 {
            let mut poller = Browser::new(nodes[(round + n) % nodes.len()], cookie_name).await;
            poller.cookie.clone_from(&attacker.cookie);
            let over = Arc::clone(&over);
            pollers.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let last = over.load(Ordering::SeqCst);
                    let answer = poller.get_as_is("/act-at-once?do=update").await;
                    let refused = answer.status == 409;
                    seen.push(answer);
                    if last || refused {
                        return seen;
                    }
                }
            }));
        }
        victim.cookie.clear();
        let joined = victim.get_as_browser(&format!("/share?$4DSID={link}")).await;
        assert_eq!(outcome(&joined), "restored", "round {round}");
        let signed_in = victim.get("/login?privileges=admin&user=Victim").await;
        assert_eq!(signed_in.status, 200);
        victim.get("/write?key=n&value=secret").await;
        over.store(true, Ordering::SeqCst);
        for poller in pollers {
            for answer in poller.await.unwrap() {
                let text = answer.text();
                let new =
                    text.contains("Victim") || text.contains("secret") || text.contains("admin");
                assert!(!new && [200, 409].contains(&answer.status), "round {round}: {text}");
                replaced += usize::from(answer.status == 409);
            }
        }
        let kept = victim.get("/whoami").await.json();
        assert_eq!((&kept["storage"]["n"], &kept["user"]), (&json!("secret"), &json!("Victim")));
    }
    println!(
        "figure: {rounds} rounds of polling on {} nodes, {replaced} polls put out under way",
        nodes.len()
    );
}

/// A browser on a connection of its own.
struct Browser {
    node: SocketAddr,
    wire: Wire,
    cookie_name: String,
    cookie: String,
}

impl Browser {
    async fn new(node: SocketAddr, cookie_name: &str) -> Self {
        let wire = Wire::open(node).await;
        Self { node, wire, cookie_name: cookie_name.to_owned(), cookie: String::new() }
    }

    /// Asks, and keeps the cookie that it is given.
    async fn get(&mut self, target: &str) -> Answer {
        self.ask(target, "").await
    }

    async fn get_as_browser(&mut self, target: &str) -> Answer {
        let more = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
        self.ask(target, more).await
    }

    /// Asks, and keeps the cookie that it has.
    async fn get_as_is(&mut self, target: &str) -> Answer {
        let kept = self.cookie.clone();
        let answer = self.ask(target, "").await;
        self.cookie = kept;
        answer
    }

    async fn ask(&mut self, target: &str, more: &str) -> Answer {
        let cookie = &self.cookie;
        let head = format!("Host: gate.test\r\nCookie: {cookie}\r\n{more}");
        self.wire.send(format!("GET {target} HTTP/1.1\r\n{head}\r\n")).await;
        let answer = self.wire.answer().await;
        if answer.header("connection") == "close" {
            // It has had as many requests as a connection may have.
            self.wire = Wire::open(self.node).await;
        }
        let given = answer.headers.get_all("set-cookie").iter();
        let own = format!("{}=", self.cookie_name);
        let given = given.filter_map(|value| value.to_str().ok()).find(|it| it.starts_with(&own));
        if let Some(given) = given {
            given.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        answer
    }
}
