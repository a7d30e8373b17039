//! The session API: an upstream works in the session of the request that was lent to it, and in
//! no other, for as long as the request takes and a minute more.

mod failures;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use callgate::Settings;
use callgate::base::limits::CAPABILITIES_LEFT_MAX;
use callgate::gate::Answer;
use callgate::settings::PublicOrigin;
use callgate::store::port::OperationKind;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::lent::Lent;
use crate::support::lent::Upstream;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;

async fn upstream() -> Upstream {
    Upstream::start(settings()).await
}

/// A visitor who has written something, and his request under way.
async fn at_work(upstream: &Upstream) -> (Visitor, Lent) {
    let visitor = upstream.visitor();
    visitor.write("cart", "full").await;
    let lent = upstream.lend(&visitor).await;
    (visitor, lent)
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, name: &str) -> (u16, String) {
    (status, name.to_owned())
}

#[tokio::test]
async fn an_upstream_reads_and_writes_the_session_of_its_request() {
    let upstream = upstream().await;
    let (visitor, lent) = at_work(&upstream).await;
    let id = visitor.id().await;
    let seen = upstream.ask(&lent.capability, "GET /session").await.json();
    assert_eq!((&seen["id"], &seen["isGuest"]), (&json!(id), &json!(true)));
    assert_eq!((&seen["userName"], &seen["otp"]), (&json!(""), &json!({ "outcome": "absent" })));
    assert_eq!(
        (&seen["idleTimeout"], &seen["expirationDate"]),
        (&json!(60), &json!("2026-01-01T01:00:00.000Z"))
    );
    let storage = upstream.ask(&lent.capability, "GET /session/storage").await.json();
    assert_eq!(storage, json!({ "cart": "full" }));
    let patch = json!({ "cart": null, "order": { "paid": true, "note": null }, "n": 1 });
    let line = "PATCH /session/storage";
    assert_eq!(upstream.tell(&lent.capability, line, &patch).await.status, 204);
    let expected = json!({ "order": { "paid": true, "note": null }, "n": 1 });
    // It is kept already, for every other request, and shows in the rest of this one.
    assert_eq!(visitor.session().await["storage"], expected);
    assert_eq!(upstream.answer(lent).await.json()["storage"], expected);
}

#[tokio::test]
async fn a_guest_is_founded_by_the_first_write_and_gets_his_cookie_with_the_answer() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    let lent = upstream.lend(&visitor).await;
    let nothing = json!({ "gone": null });
    let line = "PATCH /session/storage";
    assert_eq!(upstream.tell(&lent.capability, line, &nothing).await.status, 204);
    assert!(upstream.served.house.stored().await.is_empty(), "nothing was there to take away");
    upstream.tell(&lent.capability, line, &json!({ "step": 1 })).await;
    assert_eq!(upstream.served.house.stored().await.len(), 1);
    upstream.answer(lent).await;
    assert_eq!(visitor.session().await["storage"], json!({ "step": 1 }));
}

#[tokio::test]
async fn writes_at_once_are_all_kept() {
    let upstream = Arc::new(upstream().await);
    let visitor = upstream.visitor();
    let lent = upstream.lend(&visitor).await;
    let mut writes = JoinSet::new();
    for n in 0..16 {
        let (upstream, capability) = (Arc::clone(&upstream), lent.capability.clone());
        writes.spawn(async move {
            let body = json!({ format!("key{n}"): n });
            upstream.tell(&capability, "PATCH /session/storage", &body).await.status
        });
    }
    assert_eq!(writes.join_all().await, [204; 16]);
    // Parallel first writes of a guest meet in one session.
    assert_eq!(upstream.served.house.stored().await.len(), 1);
    assert_eq!(upstream.answer(lent).await.json()["storage"].as_object().unwrap().len(), 16);
    assert_eq!(visitor.session().await["storage"].as_object().unwrap().len(), 16);
}

#[tokio::test]
async fn who_signs_in_gets_a_fresh_cookie_with_the_answer_and_others_are_put_out() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    let token = visitor.mint("").await;
    let other = upstream.visitor();
    other.follow("/share", &token).await;
    assert_eq!(other.id().await, visitor.id().await);
    let before = visitor.cookie();
    let lent = upstream.lend(&visitor).await;
    let wish = json!({ "privileges": ["admin", "staff"], "userName": "ada" });
    let seen = upstream.tell(&lent.capability, "PUT /session/privileges", &wish).await.json();
    assert_eq!((&seen["userName"], &seen["isGuest"]), (&json!("ada"), &json!(false)));
    assert_eq!(seen["privileges"], json!(["admin", "staff"]));
    upstream.answer(lent).await;
    assert_ne!(visitor.cookie(), before);
    assert_eq!(visitor.session().await["user"], "ada");
    assert_ne!(other.id().await, visitor.id().await);
}

#[tokio::test]
async fn privileges_are_a_text_a_list_or_an_object() {
    let upstream = upstream().await;
    for (wish, expected) in [
        (json!("admin, staff"), json!(["admin", "staff"])),
        (json!(["admin"]), json!(["admin"])),
        (json!({ "privileges": "admin" }), json!(["admin"])),
        (json!({ "userName": "ada", "keepDevices": true }), json!([])),
    ] {
        let (_, lent) = at_work(&upstream).await;
        let seen = upstream.tell(&lent.capability, "PUT /session/privileges", &wish).await.json();
        assert_eq!((&seen["privileges"], &seen["isGuest"]), (&expected, &json!(false)), "{wish}");
        upstream.answer(lent).await;
    }
}

#[tokio::test]
async fn a_token_that_an_upstream_minted_brings_somebody_back() {
    let origin = PublicOrigin::parse("https://shop.example").unwrap();
    let settings = Settings { public_origin: Some(origin), ..settings() };
    let upstream = Upstream::start(settings).await;
    let (visitor, lent) = at_work(&upstream).await;
    let wish =
        json!({ "for": "Probe.whoami", "lifespan": 30.0, "mode": "share", "path": "/whoami?a=1" });
    let minted = upstream.tell(&lent.capability, "POST /session/otp", &wish).await;
    assert_eq!(minted.status, 201);
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(minted.json()["url"], format!("https://shop.example/whoami?a=1&%244DSID={token}"));
    let kept = &upstream.served.house.unspent().await[0];
    assert_eq!(kept.expires_at.since(kept.minted_at), Duration::from_secs(30));
    let bare = upstream.ask(&lent.capability, "POST /session/otp").await;
    assert_eq!((bare.status, bare.json().get("url")), (201, None));
    // The person comes back while the request is still under way.
    let back = upstream.visitor().follow("/whoami", &token).await;
    assert_eq!(outcome(&back), "restored");
    assert_eq!(back.json()["id"], visitor.id().await);
    upstream.answer(lent).await;
}

#[tokio::test]
async fn a_token_that_an_upstream_redeems_moves_its_request_and_browser() {
    let upstream = upstream().await;
    let owner = upstream.visitor();
    owner.write("cart", "full").await;
    let token = owner.mint("").await;
    let visitor = upstream.visitor();
    let before = visitor.write("own", "1").await;
    let lent = upstream.lend(&visitor).await;
    let (line, body) = ("POST /session/restore", json!({ "token": token }));
    let restored = upstream.tell(&lent.capability, line, &body).await.json();
    assert_eq!(restored, json!({ "outcome": "restored", "restored": true }));
    let seen = upstream.ask(&lent.capability, "GET /session").await.json();
    assert_eq!(seen["id"], owner.id().await);
    let again = upstream.tell(&lent.capability, line, &body).await.json();
    assert_eq!((&again["restored"], &again["outcome"]), (&json!(false), &json!("used")));
    assert_eq!(again["usedAt"], "2026-01-01T00:00:00.000Z");
    upstream.answer(lent).await;
    assert_eq!(visitor.id().await, owner.id().await);
    assert_ne!(visitor.id().await, before);
    let unknown = json!({ "token": "0".repeat(32) });
    let lent = upstream.lend(&visitor).await;
    let unknown = upstream.tell(&lent.capability, line, &unknown).await.json();
    assert_eq!(unknown, json!({ "outcome": "unknown", "restored": false }));
    upstream.answer(lent).await;
}

#[tokio::test]
async fn an_upstream_is_told_what_became_of_the_token_of_its_request() {
    let upstream = upstream().await;
    let token = upstream.visitor().mint("").await;
    let target = format!("/lend?$4DSID={token}");
    for (expected, used) in [("restored", None), ("used", Some("2026-01-01T00:00:00.000Z"))] {
        let lent = upstream.lend_from(&upstream.visitor(), &target).await;
        let otp = &upstream.ask(&lent.capability, "GET /session").await.json()["otp"];
        assert_eq!((&otp["outcome"], otp["usedAt"].as_str()), (&json!(expected), used));
        upstream.answer(lent).await;
    }
}

#[tokio::test]
async fn a_capability_opens_for_a_minute_after_its_request_and_then_nothing() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    visitor.write("cart", "full").await;
    let capability = upstream.left(&visitor).await;
    upstream.served.house.wait_secs(59);
    let line = "PATCH /session/storage";
    assert_eq!(upstream.tell(&capability, line, &json!({ "late": 1 })).await.status, 204);
    assert_eq!(visitor.session().await["storage"], json!({ "cart": "full", "late": 1 }));
    // What another request has written since is seen.
    visitor.write("cart", "empty").await;
    let seen = upstream.ask(&capability, "GET /session/storage").await.json();
    assert_eq!(seen, json!({ "cart": "empty", "late": 1 }));
    upstream.served.house.wait_secs(1);
    let answer = upstream.ask(&capability, "GET /session").await;
    assert_eq!(code(&answer), refused(401, "capability"));
    let answer = upstream.tell(&capability, line, &json!({ "later": 1 })).await;
    assert_eq!(code(&answer), refused(401, "capability"));
}

#[tokio::test]
async fn what_needs_a_cookie_is_refused_once_the_answer_has_begun() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    visitor.write("cart", "full").await;
    let token = upstream.visitor().mint("").await;
    let capability = upstream.left(&visitor).await;
    let restore = json!({ "token": token });
    let answer = upstream.tell(&capability, "POST /session/restore", &restore).await;
    assert_eq!(code(&answer), refused(409, "answer_begun"));
    assert_eq!(upstream.served.house.unspent().await.len(), 1, "the token is unspent");
    let answer = upstream.tell(&capability, "PUT /session/privileges", &json!("admin")).await;
    assert_eq!(code(&answer), refused(409, "answer_begun"));
    assert_eq!(visitor.session().await["storage"], json!({ "cart": "full" }), "he is still in");
    let kept = json!({ "privileges": "admin", "keepDevices": true });
    let answer = upstream.tell(&capability, "PUT /session/privileges", &kept).await;
    assert_eq!(answer.status, 200);
    assert_eq!(visitor.session().await["privileges"], json!(["admin"]));
}

#[tokio::test]
async fn a_guest_of_whom_nothing_was_stored_can_be_written_to_in_the_minute_after() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    let capability = upstream.left(&visitor).await;
    let answer = upstream.tell(&capability, "PATCH /session/storage", &json!({ "late": 1 })).await;
    assert_eq!(answer.status, 204);
    let seen = upstream.ask(&capability, "GET /session/storage").await.json();
    assert_eq!(seen, json!({ "late": 1 }));
    assert_eq!(visitor.session().await["storage"], json!({ "late": 1 }));
}

#[tokio::test]
async fn a_logout_ends_the_session_and_its_capability() {
    let upstream = upstream().await;
    let (visitor, lent) = at_work(&upstream).await;
    let capability = lent.capability.clone();
    let before = visitor.id().await;
    assert_eq!(upstream.ask(&capability, "DELETE /session").await.status, 204);
    assert!(upstream.served.house.stored().await.is_empty());
    for line in ["GET /session", "GET /session/storage", "DELETE /session"] {
        assert_eq!(code(&upstream.ask(&capability, line).await), refused(410, "session_ended"));
    }
    upstream.answer(lent).await;
    let answer = upstream.tell(&capability, "PATCH /session/storage", &json!({ "a": 1 })).await;
    assert_eq!(code(&answer), refused(410, "session_ended"));
    assert!(upstream.served.house.stored().await.is_empty(), "it does not come back");
    assert_ne!(visitor.id().await, before);
}

#[tokio::test]
async fn a_session_that_another_request_ended_is_gone_for_the_upstream() {
    let upstream = upstream().await;
    let (visitor, lent) = at_work(&upstream).await;
    let capability = lent.capability.clone();
    visitor.get("/logout").send().await;
    for line in ["GET /session", "GET /session/storage"] {
        let answer = upstream.ask(&capability, line).await;
        assert_eq!(code(&answer), refused(410, "session_ended"), "{line}");
    }
    for (line, body) in [
        ("PATCH /session/storage", json!({ "a": 1 })),
        ("POST /session/otp", json!({})),
        ("PUT /session/privileges", json!("admin")),
    ] {
        let answer = upstream.tell(&capability, line, &body).await;
        assert_eq!(code(&answer), refused(410, "session_ended"), "{line}");
    }
    upstream.answer(lent).await;
    assert!(upstream.served.house.stored().await.is_empty());
}

#[tokio::test]
async fn what_is_no_capability_is_refused_alike() {
    let upstream = upstream().await;
    let (_, lent) = at_work(&upstream).await;
    let own = lent.capability.as_str();
    let shown = "X-Callgate-Capability";
    let other = own.replace(|c: char| c.is_ascii_digit(), "f");
    let (short, long) = (&own[..63], format!("{own}0"));
    let stranger = Upstream::start(settings()).await;
    let (_, strange) = at_work(&stranger).await;
    let refusals: [&[(&str, &str)]; 8] = [
        &[],
        &[(shown, "")],
        &[(shown, "é")],
        &[(shown, &other)],
        &[(shown, short)],
        &[(shown, &long)],
        &[(shown, &strange.capability)],
        &[(shown, own), (shown, own)],
    ];
    let mut told = BTreeSet::new();
    for headers in refusals {
        let answer = upstream.send("GET /session", headers, "").await;
        assert_eq!(code(&answer), refused(401, "capability"), "{headers:?}");
        told.insert(answer.text());
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(upstream.ask(own, "GET /session").await.status, 200);
    upstream.answer(lent).await;
    stranger.answer(strange).await;
}

#[tokio::test]
async fn browsers_and_other_names_are_turned_away() {
    let (log, _capture) = Log::capture();
    let upstream = upstream().await;
    let (_, lent) = at_work(&upstream).await;
    let own = ("X-Callgate-Capability", lent.capability.as_str());
    for (name, value, expected) in [
        ("Origin", "http://localhost", "browser"),
        ("Sec-Fetch-Site", "none", "browser"),
        ("Host", "rebound.example", "wrong_host"),
    ] {
        for line in ["GET /session", "GET /session/openapi.json"] {
            let answer = upstream.send(line, &[own, (name, value)], "").await;
            let status = if name == "Host" { 421 } else { 403 };
            assert_eq!(code(&answer), refused(status, expected), "{line} {name}");
        }
    }
    upstream.answer(lent).await;
    let outside = "GET /session HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(upstream.served.ask(outside).await.status, 404, "the public listener has no API");
    log.has(&["session_api.refused"]);
}

#[tokio::test]
async fn other_paths_and_methods_say_so() {
    let upstream = upstream().await;
    let mut wire = upstream.served.connect_inside().await;
    for (line, status, allow) in [
        ("GET /session/", 404, ""),
        ("GET /session/storage/a", 404, ""),
        ("POST /session", 405, "GET, DELETE"),
        ("PUT /session/storage", 405, "GET, PATCH"),
        ("GET /session/otp", 405, "POST"),
        ("DELETE /session/openapi.json", 405, "GET"),
    ] {
        wire.send(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{line}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn the_description_is_served_without_a_capability() {
    let upstream = upstream().await;
    let described = upstream.send("GET /session/openapi.json", &[], "").await.json();
    assert_eq!(described["openapi"], "3.1.0");
}

#[tokio::test]
async fn what_was_refused_is_not_kept_later() {
    let upstream = upstream().await;
    let (visitor, lent) = at_work(&upstream).await;
    upstream.served.house.cut_off(&[OperationKind::Patch]);
    let answer =
        upstream.tell(&lent.capability, "PATCH /session/storage", &json!({ "a": 1 })).await;
    assert_eq!(code(&answer), refused(503, "store_unavailable"));
    upstream.served.house.store.heal();
    let large = json!({ "large": "x".repeat(255 * 1024), "b": "x".repeat(700) });
    upstream
        .tell(&lent.capability, "PATCH /session/storage", &json!({ "c": "x".repeat(2_000) }))
        .await;
    let answer = upstream.tell(&lent.capability, "PATCH /session/storage", &large).await;
    assert_eq!(code(&answer), refused(409, "session_full"));
    assert_eq!(upstream.answer(lent).await.status, 200);
    let storage = &visitor.session().await["storage"];
    let keys: Vec<&String> = storage.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["c", "cart"]);
}

#[tokio::test]
async fn no_more_capabilities_are_kept_than_there_may_be() {
    let upstream = upstream().await;
    let visitor = upstream.visitor();
    visitor.write("cart", "full").await;
    let times = CAPABILITIES_LEFT_MAX + 2;
    visitor.get(&format!("/lend-many?times={times}")).send().await;
    let lent = upstream.served.house.probe.lent();
    assert_eq!(lent.len(), times);
    for (at, status) in [(0, 401), (2, 200), (times - 1, 200)] {
        let answer = upstream.ask(&lent[at], "GET /session").await;
        assert_eq!(answer.status, status, "the {at}th");
    }
}
