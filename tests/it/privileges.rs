//! Privileges: what they amount to, and that nobody rides along when they are gained.

use callgate::Settings;
use serde_json::Value;
use serde_json::json;

use crate::support::House;
use crate::support::house;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

const ROLES: &str = r#"{
    "privileges": [
        { "privilege": "simple" },
        { "privilege": "medium", "includes": ["simple"] },
        { "privilege": "admin", "includes": ["medium"] },
        { "privilege": "print" }
    ],
    "roles": [{ "role": "Clerk", "privileges": ["medium", "print"] }]
}"#;

async fn house_with_roles() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roles.json");
    std::fs::write(&path, ROLES).unwrap();
    House::open(Settings { roles: Some(path), ..settings() }).await
}

async fn login(visitor: &Visitor, query: &str) -> Value {
    let answer = visitor.get(&format!("/login?{query}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["privileges"].clone()
}

#[tokio::test]
async fn a_session_is_a_guests_until_privileges_are_set_even_none() {
    let house = house().await;
    let visitor = house.visitor();
    assert_eq!(visitor.session().await["guest"], json!(true));
    visitor.write("a", "1").await;
    assert_eq!(visitor.session().await["guest"], json!(true), "a write is no login");
    assert_eq!(login(&visitor, "privileges=").await, json!([]));
    assert_eq!(visitor.session().await["guest"], json!(false));
    visitor.get("/clear").send().await;
    assert_eq!(visitor.session().await["guest"], json!(false));
}

#[tokio::test]
async fn privileges_add_up_and_clear_takes_them_all() {
    let house = house_with_roles().await;
    let visitor = house.visitor();
    assert_eq!(login(&visitor, "privileges=print").await, json!(["print"]));
    assert_eq!(login(&visitor, "privileges=medium").await, json!(["print", "simple", "medium"]));
    assert_eq!(login(&visitor, "privileges=PRINT").await, json!(["print", "simple", "medium"]));
    visitor.get("/clear").send().await;
    assert_eq!(visitor.session().await["privileges"], json!([]));
    assert_eq!(visitor.get("/admin").send().await.status, 403);
}

#[tokio::test]
async fn lists_roles_and_unknown_names_are_read_as_the_file_says() {
    let (log, _capture) = Log::capture();
    let house = house_with_roles().await;
    for (query, held) in [
        ("privileges=print, simple", json!(["print", "simple"])),
        ("privileges=nobody,print", json!(["print"])),
        ("privileges=nobody", json!([])),
        ("roles=clerk", json!(["simple", "medium", "print"])),
        ("roles=Nobody, CLERK", json!(["simple", "medium", "print"])),
        ("privileges=admin&roles=clerk", json!(["simple", "medium", "admin", "print"])),
    ] {
        let visitor = house.visitor();
        let query = query.replace(' ', "%20");
        assert_eq!(login(&visitor, &query).await, held, "{query}");
        assert_eq!(visitor.session().await["privileges"], held);
    }
    let boss = house.visitor();
    login(&boss, "privileges=admin").await;
    assert_eq!(boss.get("/admin").send().await.status, 200);
    log.has(&["privilege.unknown"]);
}

#[tokio::test]
async fn what_is_included_opens_rows_too() {
    let house = house_with_roles().await;
    let visitor = house.visitor();
    login(&visitor, "privileges=medium").await;
    assert_eq!(visitor.get("/simple-only").send().await.status, 200);
    assert_eq!(visitor.get("/admin").send().await.status, 403);
}

#[tokio::test]
async fn the_user_has_a_name() {
    let house = house().await;
    let visitor = house.visitor();
    login(&visitor, "privileges=a&user=J%C3%BCrgen").await;
    assert_eq!(visitor.session().await["user"], json!("Jürgen"));
    login(&visitor, "privileges=b").await;
    assert_eq!(visitor.session().await["user"], json!("Jürgen"), "without a name it is unchanged");
    visitor.get("/clear").send().await;
    let cleared = visitor.session().await;
    assert_eq!((&cleared["user"], &cleared["guest"]), (&json!("Jürgen"), &json!(false)));
    let long = format!("/login?user={}", "x".repeat(257));
    assert_eq!(visitor.get(&long).send().await.status, 500);
}

#[tokio::test]
async fn whoever_gains_privileges_gets_a_fresh_credential_and_nobody_rides_along() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let (token, cookie) = (member.mint("").await, member.cookie().unwrap());
    assert_eq!(phone.id().await, id);

    login(&member, "privileges=admin").await;
    let renewed = member.cookie().unwrap();
    assert_ne!(renewed, cookie);
    let session = member.session().await;
    assert_eq!((&session["id"], &session["storage"]), (&json!(id), &json!({ "a": "1" })));
    let kept = house.visitor();
    kept.plant(&cookie);
    for visitor in [&kept, &phone] {
        let session = visitor.session().await;
        assert_ne!(session["id"], json!(id));
        assert_eq!((&session["guest"], &session["privileges"]), (&json!(true), &json!([])));
    }
    assert_ne!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
    assert!(house.unspent().await.is_empty());
}

#[tokio::test]
async fn what_brings_no_new_privilege_throws_nobody_out() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    login(&member, "privileges=admin").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let cookie = member.cookie();
    login(&member, "privileges=admin").await;
    login(&member, "privileges=ADMIN").await;
    member.get("/clear").send().await;
    assert_eq!((member.cookie(), phone.id().await), (cookie, id));
}

#[tokio::test]
async fn somebody_else_with_the_same_privileges_is_a_gain() {
    let house = house().await;
    let (mallory, alice) = (house.visitor(), house.visitor());
    let id = mallory.write("a", "1").await;
    login(&mallory, "privileges=user&user=Mallory").await;
    alice.follow("/whoami", &mallory.mint("").await).await;
    login(&alice, "privileges=user&user=Alice").await;
    assert_eq!(alice.id().await, id);
    let left = mallory.session().await;
    assert_ne!(left["id"], json!(id));
    assert_eq!((&left["guest"], &left["user"]), (&json!(true), &json!("")));
}

#[tokio::test]
async fn one_wish_to_keep_devices_does_not_speak_for_another() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    login(&member, "privileges=admin&then=other").await;
    assert_ne!(phone.id().await, id);
}

#[tokio::test]
async fn a_request_that_was_overtaken_by_a_sign_in_takes_no_cookie_away() {
    let house = house().await;
    let member = house.visitor();
    member.write("a", "1").await;
    let late = house.visitor();
    late.plant(&member.cookie().unwrap());
    login(&member, "privileges=admin").await;
    let answer = late.get("/whoami").send().await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
    assert_eq!(answer.json()["guest"], json!(true));
    let wrote = late.get("/write?key=b&value=2").send().await;
    assert_eq!((wrote.status, wrote.header("set-cookie")), (200, ""));
    house.wait_secs(121);
    late.write("b", "2").await;
    assert_eq!(late.session().await["storage"], json!({ "b": "2" }), "it was put out long ago");
}

#[tokio::test]
async fn a_browser_that_was_put_out_is_shown_nothing_new() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let waiting = phone.get("/peek").send();
    let signing_in = async {
        house.probe.arrival().await;
        login(&member, "privileges=admin&user=Ann").await;
        member.write("secret", "2").await;
        house.probe.door.add_permits(1);
    };
    let (seen, ()) = tokio::join!(waiting, signing_in);
    assert_eq!((seen.status, seen.header("retry-after")), (409, "0"), "{}", seen.text());
    assert_eq!((seen.header("set-cookie"), &seen.json()["code"]), ("", &json!("sessionReplaced")));
}

#[tokio::test]
async fn keep_devices_keeps_them() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let (token, cookie) = (member.mint("").await, member.cookie());
    login(&member, "privileges=admin&keep=1").await;
    assert_eq!(member.cookie(), cookie);
    assert_eq!(phone.session().await["privileges"], json!(["admin"]));
    assert_eq!(phone.id().await, id);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_planted_guest_cookie_gains_its_planter_nothing() {
    let house = house().await;
    for writes in [false, true] {
        let (attacker, victim) = (house.visitor(), house.visitor());
        if writes {
            attacker.write("bait", "1").await;
        }
        let id = attacker.id().await;
        let planted = attacker.cookie().unwrap();
        victim.plant(&planted);
        login(&victim, "privileges=admin&user=Victim").await;
        assert_ne!(victim.cookie().unwrap(), planted);
        assert_eq!(victim.session().await["user"], json!("Victim"));
        let seen = attacker.session().await;
        assert_ne!(seen["id"], json!(id));
        assert_eq!((&seen["guest"], &seen["user"]), (&json!(true), &json!("")));
    }
}

#[tokio::test]
async fn a_request_under_way_with_an_ended_credential_gains_nothing() {
    for target in ["/linger-mint", "/linger-login?privileges=other"] {
        let house = house().await;
        let (attacker, victim) = (house.visitor(), house.visitor());
        attacker.write("bait", "1").await;
        victim.follow("/whoami", &attacker.mint("").await).await;
        let lingering = tokio::spawn({
            let attacker = attacker.clone();
            async move { attacker.get(target).send().await }
        });
        house.probe.arrival().await;
        login(&victim, "privileges=admin&user=Victim").await;
        house.probe.door.add_permits(1);
        lingering.await.unwrap();
        assert_eq!(attacker.session().await["user"], json!(""), "{target}");
        assert!(house.unspent().await.is_empty(), "{target}");
        assert_eq!(victim.session().await["user"], json!("Victim"), "{target}");
    }
}

#[tokio::test]
async fn a_link_into_the_attackers_session_gains_him_nothing() {
    let house = house().await;
    let (attacker, victim) = (house.visitor(), house.visitor());
    attacker.write("bait", "1").await;
    let (link, spare) = (attacker.mint("").await, attacker.mint("").await);
    victim.follow("/whoami", &link).await;
    login(&victim, "privileges=admin&user=Victim").await;
    assert_eq!(attacker.session().await["user"], json!(""));
    let again = house.visitor().follow("/whoami", &spare).await;
    assert_eq!((&again.json()["user"], &again.json()["guest"]), (&json!(""), &json!(true)));
}

#[tokio::test]
async fn a_context_caller_that_gains_privileges_throws_no_browser_out() {
    let house = house().await;
    let (member, phone) = (house.visitor(), house.visitor());
    let id = member.write("a", "1").await;
    phone.follow("/whoami", &member.mint("").await).await;
    let target = with_token("/context-login?privileges=paid", &member.mint("").await);
    let answer = house.visitor().post(&target).send().await;
    assert_eq!((answer.status, answer.json()["privileges"].clone()), (200, json!(["paid"])));
    assert!(answer.headers.get("set-cookie").is_none());
    for visitor in [&member, &phone] {
        let session = visitor.session().await;
        assert_eq!((&session["id"], &session["privileges"]), (&json!(id), &json!(["paid"])));
    }
}

#[tokio::test]
async fn a_context_caller_may_log_everybody_out_and_gets_no_cookie() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    let target = with_token("/context-logout", &member.mint("").await);
    let answer = house.visitor().post(&target).send().await;
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (200, None));
    assert_ne!(member.id().await, id);
}

#[tokio::test]
async fn a_fresh_credential_reaches_its_browser_even_if_the_handler_fails_later() {
    let house = house().await;
    let member = house.visitor();
    let id = member.write("a", "1").await;
    let before = member.cookie();
    assert_eq!(member.get("/elevate-and-fail").send().await.status, 500);
    assert_ne!(member.cookie(), before);
    let session = member.session().await;
    assert_eq!((&session["id"], &session["privileges"]), (&json!(id), &json!(["admin"])));
}
