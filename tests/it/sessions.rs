//! Sessions: what a guest costs, which cookies count, how long one lives, and that it stays dead.

use std::sync::Arc;

use callgate::Settings;
use callgate::base::secret::SecretText;
use callgate::session::Lifetime;
use callgate::settings::Cookie;
use callgate::settings::CookiePrefix;
use callgate::settings::PublicOrigin;
use callgate::settings::SameSite;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::memory::MemoryStore;
use callgate::store::port::OperationKind;
use serde_json::json;

use crate::support::House;
use crate::support::house;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;

#[tokio::test]
async fn a_guest_costs_nothing_and_keeps_his_id() {
    let house = house().await;
    let verbs = [OperationKind::Create, OperationKind::Patch, OperationKind::Mint];
    house.cut_off(&verbs);
    let guest = house.visitor();
    let id = guest.id().await;
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
    let cookie = guest.cookie();
    for _ in 0..5 {
        let session = guest.session().await;
        assert_eq!((&session["id"], &session["guest"]), (&json!(id), &json!(true)));
        assert_eq!((&session["storage"], &session["user"]), (&json!({}), &json!("")));
    }
    assert_eq!(guest.cookie(), cookie, "a cookie that is good is not sent again");
    assert!(house.stored().await.is_empty());
    house.store.heal();
    assert_eq!(guest.write("a", "1").await, id, "the first write founds the session of that id");
    assert_eq!((house.stored().await.len(), guest.id().await), (1, id));
    assert_ne!(house.visitor().id().await, house.visitor().id().await);
}

#[tokio::test]
async fn every_kind_of_write_founds_the_session() {
    for target in ["/write?key=a&value=1", "/mint", "/login?privileges=", "/add?key=n"] {
        let house = house().await;
        let guest = house.visitor();
        let id = guest.id().await;
        assert_eq!(guest.get(target).send().await.status, 200);
        assert_eq!(house.stored().await[0].record.id.to_string(), id, "{target}");
    }
}

#[tokio::test]
async fn taking_away_what_is_not_there_founds_nothing() {
    let house = house().await;
    for target in ["/remove?key=notice", "/clear"] {
        assert_eq!(house.visitor().get(target).send().await.status, 200);
    }
    assert!(house.stored().await.is_empty());
}

#[tokio::test]
async fn the_cookie_says_how_it_is_guarded() {
    let https = |origin: &str| Some(PublicOrigin::parse(origin).unwrap());
    let cases = [
        (settings(), "4DSID_callgate", "; Path=/; HttpOnly; SameSite=Lax"),
        (
            Settings { public_origin: https("https://shop.example"), ..settings() },
            "__Host-4DSID_callgate",
            "; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            Settings {
                public_origin: https("https://shop.example"),
                cookie: Cookie {
                    prefix: CookiePrefix::None,
                    same_site: SameSite::Strict,
                    ..Cookie::default()
                },
                ..settings()
            },
            "4DSID_callgate",
            "; Path=/; Secure; HttpOnly; SameSite=Strict",
        ),
    ];
    for (settings, name, attributes) in cases {
        let house = House::open(settings).await;
        let answer = house.visitor().get("/whoami").send().await;
        let cookie = answer.header("set-cookie");
        let value = cookie.strip_prefix(&format!("{name}=")).unwrap_or_else(|| panic!("{cookie}"));
        let (value, rest) = value.split_at(value.find(';').unwrap());
        assert_eq!((value.len(), rest), (94, attributes));
        assert!(!value.contains(answer.json()["id"].as_str().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_writes_of_one_guest_meet_in_one_session() {
    let house = house().await;
    let guest = house.visitor();
    let id = guest.id().await;
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..32 {
        let guest = guest.clone();
        writes.spawn(async move { guest.write(&format!("k{n}"), "1").await });
    }
    assert!(writes.join_all().await.iter().all(|written| *written == id));
    assert_eq!(house.stored().await.len(), 1);
    assert_eq!(guest.session().await["storage"].as_object().unwrap().len(), 32);
}

#[tokio::test]
async fn a_cookie_that_was_not_made_here_never_reaches_the_store() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    let good = member.cookie().unwrap();
    house.cut_off(&[OperationKind::Resume]);
    let mut forged = vec![
        String::new(),
        "x".to_owned(),
        "A".repeat(94),
        "A".repeat(43),
        id.clone(),
        good[1..].to_owned(),
        format!("{good}A"),
        format!("\"{good}\""),
        good.to_lowercase(),
        "x; 4DSID_callgate=y; 4DSID_callgate=".to_owned(),
        format!("x; $Version=1; $4DSID_callgate={good}"),
    ];
    for at in [0, 1, 5, 21, 40, 93] {
        let letter = if good.as_bytes()[at] == b'Q' { "g" } else { "Q" };
        forged.push(format!("{}{letter}{}", &good[..at], &good[at + 1..]));
    }
    for cookie in forged {
        let visitor = house.visitor();
        visitor.plant(&cookie);
        let session = visitor.session().await;
        assert_ne!(session["id"], json!(id), "{cookie}");
        assert_eq!(session["storage"], json!({}));
    }
    assert_eq!(member.get("/whoami").send().await.status, 503, "a good one does reach it");
    house.store.heal();
    assert_eq!(member.id().await, id);
}

#[tokio::test]
async fn an_id_is_no_credential() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    for value in [id.clone(), id.to_lowercase()] {
        let thief = house.visitor();
        thief.plant(&value);
        assert_ne!(thief.id().await, id);
    }
}

#[tokio::test]
async fn keys_rotate_without_a_logout_and_a_dropped_key_ends_its_cookies() {
    let store = Arc::new(MemoryStore::new());
    let key = |digit: &str| SecretText::new(digit.repeat(64));
    let with = |keys: Vec<SecretText>| Settings { keys, ..settings() };
    let old = House::on(store.clone(), with(vec![key("1")])).await;
    let member = old.visitor();
    let id = member.write("a", "1").await;
    let token = member.mint("").await;

    let both = House::on(store.clone(), with(vec![key("2"), key("1")])).await;
    let same = both.visitor();
    same.plant(&member.cookie().unwrap());
    assert_eq!(same.id().await, id);
    let phone = both.visitor();
    assert_eq!(outcome(&phone.follow("/whoami", &token).await), "restored");

    let new = House::on(store, with(vec![key("2")])).await;
    let (dropped, kept) = (new.visitor(), new.visitor());
    dropped.plant(&member.cookie().unwrap());
    kept.plant(&phone.cookie().unwrap());
    assert_ne!(dropped.id().await, id);
    assert_eq!(kept.id().await, id, "the first key seals");
}

#[tokio::test]
async fn a_session_ends_after_an_hour_without_requests() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    for _ in 0..3 {
        house.wait_secs(3_599);
        assert_eq!(member.id().await, id, "each request starts the hour again");
    }
    house.wait_secs(3_600);
    let after = member.session().await;
    assert_ne!(after["id"], json!(id));
    assert_eq!((&after["guest"], &after["storage"]), (&json!(true), &json!({})));
    assert!(house.stored().await.is_empty());
}

#[tokio::test]
async fn a_redemption_counts_as_use() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    let token = member.mint("lifespan=7200").await;
    house.wait_secs(3_000);
    house.visitor().call_back("/whoami", &token).await;
    house.wait_secs(3_000);
    assert_eq!(member.id().await, id);
}

#[tokio::test]
async fn the_idle_timeout_is_settable_and_at_least_an_hour() {
    let house = house().await;
    let member = house.visitor();
    assert_eq!(member.session().await["idle"], json!(60));
    assert_eq!(member.session().await["expires"], json!("2026-01-01T01:00:00.000Z"));
    for (wish, given) in [("90", 90), ("0", 60), ("59", 60), ("61", 61), ("120", 120)] {
        member.get(&format!("/write?key=a&value=1&idle={wish}")).send().await;
        assert_eq!(member.session().await["idle"], json!(given), "{wish}");
    }
    house.wait_secs(1);
    assert_eq!(member.session().await["expires"], json!("2026-01-01T02:00:01.000Z"));
    let id = member.id().await;
    house.wait_secs(7_199);
    assert_eq!(member.id().await, id);
    house.wait_secs(7_200);
    assert_ne!(member.id().await, id);
}

#[tokio::test]
async fn an_absolute_limit_ends_the_busiest_session() {
    let lifetime = Lifetime { idle_minutes: 60, absolute_minutes: Some(90) };
    let house = House::open(Settings { lifetime, ..settings() }).await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    for _ in 0..5 {
        house.wait_secs(1_000);
        assert_eq!(member.id().await, id);
    }
    assert_eq!(member.session().await["expires"], json!("2026-01-01T01:30:00.000Z"));
    house.wait_secs(400);
    assert_ne!(member.id().await, id);
}

#[tokio::test]
async fn a_guest_who_comes_back_within_the_hour_keeps_his_id() {
    let house = house().await;
    let guest = house.visitor();
    let id = guest.id().await;
    for _ in 0..5 {
        house.wait_secs(1_900);
        assert_eq!(guest.id().await, id);
    }
    house.wait_secs(3_600);
    assert_ne!(guest.id().await, id);
}

#[tokio::test]
async fn logout_ends_the_session_everywhere() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let (token, cookie) = (member.mint("").await, member.cookie().unwrap());
    let answer = member.get("/logout").send().await;
    assert_eq!((&answer.json()["guest"], &answer.json()["storage"]), (&json!(true), &json!({})));
    assert_ne!(answer.json()["id"], json!(id));
    assert_ne!(member.cookie().unwrap(), cookie);
    assert_eq!(json!(member.id().await), answer.json()["id"]);
    assert!(house.stored().await.is_empty());

    let kept = house.visitor();
    kept.plant(&cookie);
    for visitor in [&phone, &kept] {
        assert_ne!(visitor.id().await, id);
    }
    assert_ne!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_request_that_lingers_does_not_undo_a_logout() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    let cookie = member.cookie().unwrap();
    let slow = house.visitor();
    slow.plant(&cookie);
    let lingering = tokio::spawn({
        let slow = slow.clone();
        async move { slow.get("/linger?value=late").send().await }
    });
    house.probe.arrival().await;
    member.get("/logout").send().await;
    house.probe.door.add_permits(1);
    assert_eq!(lingering.await.unwrap().status, 200);
    assert!(house.stored().await.is_empty());
    assert_ne!(slow.id().await, id);
    let again = house.visitor();
    again.plant(&cookie);
    assert_ne!(again.id().await, id);
    log.has(&["session.write_dropped"]);
}

#[tokio::test]
async fn a_logout_ends_what_another_request_of_the_guest_founded_meanwhile() {
    let house = house().await;
    let guest = house.visitor();
    let id = guest.id().await;
    let cookie = guest.cookie().unwrap();
    let leaving = tokio::spawn({
        let guest = guest.clone();
        async move { guest.get("/linger-logout").send().await }
    });
    house.probe.arrival().await;
    let tab = house.visitor();
    tab.plant(&cookie);
    assert_eq!(tab.write("a", "1").await, id);
    house.probe.door.add_permits(1);
    assert_eq!(leaving.await.unwrap().status, 200);
    assert!(house.stored().await.is_empty());
    assert_ne!(tab.id().await, id);
}

#[tokio::test]
async fn an_id_that_ended_never_comes_back() {
    let house = house().await;
    let member = house.visitor();
    // Founded by its guest cookie, which is still within the guest window.
    let id = member.write("a", "1").await;
    let cookie = member.cookie().unwrap();
    member.get("/logout").send().await;
    for secs in [0, 60, 1_700, 1_700, 139, 1, 3_600] {
        house.wait_secs(secs);
        let thief = house.visitor();
        thief.plant(&cookie);
        assert_ne!(thief.write("b", "2").await, id, "after {secs} more seconds");
    }
    assert!(house.stored().await.iter().all(|opened| opened.record.id.to_string() != id));
}

#[tokio::test]
async fn devices_are_listed_and_ended_alone() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    member.get("/write?key=a&value=1").header("user-agent", "Desk").send().await;
    let id = member.id().await;
    let token = member.mint("").await;
    let target = crate::support::visitor::with_token("/whoami", &token);
    phone.get(&target).as_browser().header("user-agent", "Phone").send().await;

    let listed = member.get("/devices").send().await.json()["result"].clone();
    let labels: Vec<_> = listed.as_array().unwrap().iter().map(|device| &device["label"]).collect();
    assert_eq!(labels, ["Desk", "Phone"]);
    assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(true), &json!(false)));
    let from_phone = phone.get("/devices").send().await.json()["result"].clone();
    assert_eq!(from_phone[1]["current"], json!(true));

    let target = format!("/endDevice?id={}", listed[1]["id"].as_str().unwrap());
    assert_eq!(member.get(&target).send().await.json()["result"], json!(true));
    assert_eq!(member.get(&target).send().await.json()["result"], json!(false));
    assert_ne!(phone.id().await, id);
    assert_eq!(member.id().await, id);
    assert_eq!(member.get("/devices").send().await.json()["result"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn two_requests_that_write_different_keys_lose_nothing() {
    let house = house().await;
    let member = house.visitor();
    member.write("a", "1").await;
    let lingering = tokio::spawn({
        let member = member.clone();
        async move { member.get("/linger?value=late").send().await }
    });
    house.probe.arrival().await;
    member.write("b", "2").await;
    house.probe.door.add_permits(1);
    lingering.await.unwrap();
    assert_eq!(
        member.session().await["storage"],
        json!({ "a": "1", "b": "2", "lingered": "late" })
    );
}

/// What a handler has written it sees while that is being stored; and it is stored with the rest
/// where the handler drops the call that would have stored it.
#[tokio::test]
async fn a_write_is_shown_while_it_is_stored_and_outlives_a_call_that_is_dropped() {
    let house = house().await;
    let visitor = house.visitor();
    visitor.write("n", "old").await;
    house.store.lose(OperationKind::Mint, Lose::Turn, When::Next(1));
    let seen = visitor.get("/act-at-once?do=peek").send().await;
    assert_eq!((seen.status, &seen.json()["storage"]["n"]), (200, &json!("written")));
    assert_eq!(house.store.losses(), 1);
    assert_eq!(visitor.session().await["storage"]["n"], "written");
    assert!(house.unspent().await.is_empty());
}

/// A call that the handler has begun, and that nothing finishes, takes no write with it.
#[tokio::test]
async fn a_write_that_is_begun_when_the_handler_returns_is_kept() {
    let house = house().await;
    let visitor = house.visitor();
    visitor.write("n", "old").await;
    house.store.lose(OperationKind::Mint, Lose::Turn, When::Next(1));
    let answer = visitor.get("/act-at-once?do=abandon").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(house.store.losses(), 1);
    assert_eq!(visitor.session().await["storage"]["n"], "written");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_writers_lose_nothing() {
    let house = house().await;
    let member = house.visitor();
    member.write("start", "1").await;
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..200 {
        let member = member.clone();
        writes.spawn(async move { member.write(&format!("k{n}"), &n.to_string()).await });
    }
    writes.join_all().await;
    let storage = member.session().await["storage"].as_object().unwrap().clone();
    assert_eq!(storage.len(), 201);
    assert!((0..200).all(|n| storage[&format!("k{n}")] == json!(n.to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_updates_of_one_number_sum_exactly() {
    let house = house().await;
    let member = house.visitor();
    member.id().await;
    let mut updates = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let member = member.clone();
        updates.spawn(async move { member.get("/add?key=n").send().await.status });
    }
    assert!(updates.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(member.session().await["storage"], json!({ "n": 64 }));
}

#[tokio::test]
async fn any_json_is_kept_and_too_much_is_refused() {
    let house = house().await;
    let member = house.visitor();
    let value = json!({ "deep": [1, null, { "é": "\u{1f600}\n" }], "big": 1.5e300 });
    member.post("/write?key=a").body(value.to_string()).send().await;
    assert_eq!(member.get("/read?key=a").send().await.json()["result"], value);
    let big = json!("x".repeat(300_000)).to_string();
    assert_eq!(member.post("/write?key=b").body(big).send().await.status, 500);
    assert_eq!(member.get("/read?key=a").send().await.json()["result"], value);
    assert_eq!(member.get("/read?key=b").send().await.json()["result"], json!(null));
}

#[tokio::test]
async fn a_write_that_the_store_did_not_keep_is_a_503() {
    let house = house().await;
    let (member, guest) = (house.visitor(), house.visitor());
    member.write("a", "1").await;
    guest.id().await;
    house.cut_off(&[OperationKind::Patch, OperationKind::Create]);
    for visitor in [&member, &guest, &house.visitor()] {
        let cookie = visitor.cookie();
        let answer = visitor.get("/write?key=b&value=2").send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
        assert_eq!(visitor.cookie(), cookie);
    }
    house.cut_off(&[OperationKind::End]);
    assert_eq!(member.get("/logout").send().await.status, 503, "nobody is told of half a logout");
    house.store.heal();
    assert_eq!(member.session().await["storage"], json!({ "a": "1" }));
}
