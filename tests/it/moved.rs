//! Who is moved to another session, and who is asked first; for whom a token is at all.

use callgate::Settings;
use callgate::table::BasePath;
use serde_json::json;

use super::fresh;
use super::house;
use crate::support::House;
use crate::support::lent::Upstream;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

async fn signed_in(house: &House) -> (Visitor, String) {
    let member = house.visitor();
    member.get("/login?privileges=simple&user=Ann").send().await;
    let id = member.id().await;
    (member, id)
}

#[tokio::test]
async fn a_handler_moves_nobody_who_is_signed_in_unless_it_says_so() {
    let house = house().await;
    let desk = house.visitor();
    let other = desk.write("cart", "3").await;
    for verb in ["GET", "POST"] {
        let (member, id) = signed_in(&house).await;
        let token = desk.mint("mode=share").await;
        let target = format!("/restore?token={token}");
        let stays = member.call(verb, &target).as_browser().send().await;
        assert_eq!((outcome(&stays), &stays.json()["restored"]), ("askFirst", &json!(false)));
        assert_eq!((member.id().await, house.unspent().await.len()), (id, 1), "{verb}");
        let moved = member.call(verb, &format!("{target}&switch=1")).as_browser().send().await;
        assert_eq!((outcome(&moved), &moved.json()["id"]), ("restored", &json!(other)), "{verb}");
    }
    // Back into its own session, or in the name of a guest, there is nothing to ask.
    let (member, id) = signed_in(&house).await;
    let own = member.mint("mode=share").await;
    let back = member.get(&format!("/restore?token={own}")).as_browser().send().await;
    assert_eq!((outcome(&back), &back.json()["id"]), ("restored", &json!(id)));
    let guest = house.visitor();
    guest.write("a", "1").await;
    let token = desk.mint("mode=share").await;
    let moved = guest.get(&format!("/restore?token={token}")).as_browser().send().await;
    assert_eq!(outcome(&moved), "restored");
}

#[tokio::test]
async fn a_token_of_one_browser_is_unknown_to_every_other() {
    let house = house().await;
    for path in ["/whoami", "/share", "/context", "/transfer", "/pay", "/foreign"] {
        let desk = house.visitor();
        desk.write("cart", "3").await;
        let token = desk.mint("sameBrowser=1").await;
        let thief = house.visitor();
        thief.mint("").await;
        for visitor in [&thief, &house.visitor()] {
            for verb in ["GET", "POST"] {
                let ask = visitor.call(verb, &with_token(path, &token)).as_browser();
                assert_eq!(outcome(&ask.send().await), "unknown", "{verb} {path}");
            }
            let target = format!("/restore?token={token}&switch=1");
            assert_eq!(outcome(&visitor.get(&target).send().await), "unknown", "{path}");
        }
        let id = desk.id().await;
        let back = desk.get(&with_token(path, &token)).as_browser().send().await;
        assert_eq!(outcome(&back), "restored", "{path}");
        assert_eq!(desk.id().await, id);
        let again = desk.get(&with_token("/whoami", &token)).as_browser().send().await;
        assert_eq!(outcome(&again), "used", "{path}");
    }
}

#[tokio::test]
async fn a_caller_that_gets_no_cookie_mints_nothing_for_its_browser() {
    let house = House::rows_on(
        fresh().await,
        settings(),
        r#"{ "class": "Probe", "method": "mint", "pattern": "mint-there", "otp": { "mode": "context" } }"#,
    )
    .await;
    let token = house.visitor().mint("").await;
    let target = with_token("/mint-there?sameBrowser=1", &token);
    assert_eq!(house.visitor().get(&target).send().await.status, 500);
    assert_eq!(house.unspent().await.len(), 0);
}

#[tokio::test]
async fn a_token_that_is_minted_after_the_response_is_known_in_its_browser() {
    let upstream = Upstream::start(settings()).await;
    let visitor = upstream.visitor();
    visitor.write("cart", "3").await;
    let capability = upstream.left(&visitor).await;
    let minted = upstream.ask(&capability, "POST /session/otp").await;
    assert_eq!(minted.status, 201, "{}", minted.text());
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(outcome(&visitor.follow("/foreign", &token).await), "restored");
    let minted = upstream.ask(&capability, "POST /session/otp").await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    upstream.visitor().asked("/foreign", &token).await;
}

#[tokio::test]
async fn an_upstream_says_for_whom_a_token_is() {
    let upstream = Upstream::start(settings()).await;
    let visitor = upstream.visitor();
    visitor.write("cart", "3").await;
    let lent = upstream.lend(&visitor).await;
    let mint = async |wish: serde_json::Value| {
        let minted = upstream.tell(&lent.capability, "POST /session/otp", &wish).await;
        minted.json()["token"].as_str().map(str::to_owned)
    };
    let bound = mint(json!({ "for": "Probe.other" })).await.unwrap();
    assert_eq!(outcome(&upstream.visitor().follow("/whoami", &bound).await), "wrongHandler");
    assert_eq!(outcome(&upstream.visitor().follow("/other", &bound).await), "restored");
    assert_eq!(mint(json!({ "for": "Mail.nope" })).await, None);
    let own = mint(json!({ "sameBrowser": true })).await.unwrap();
    upstream.answer(lent).await;
    assert_eq!(outcome(&upstream.visitor().follow("/whoami", &own).await), "unknown");
    assert_eq!(outcome(&visitor.follow("/whoami", &own).await), "restored");
}

#[tokio::test]
async fn a_refusal_spares_whoever_is_signed_in_where_the_row_says_so() {
    let rows = r#"
        { "class": "Probe", "method": "whoami", "pattern": "spared", "otp": { "onRefused": { "redirect": "/expired", "unlessSignedIn": true } } },
        { "class": "Probe", "method": "whoami", "pattern": "told", "otp": { "onRefused": { "redirect": "/expired" } } }"#;
    let settings = Settings { base_path: BasePath::parse("/tools").unwrap(), ..settings() };
    let house = House::rows_on(fresh().await, settings, rows).await;
    let member = house.visitor();
    member.get("/tools/login?privileges=simple&user=Ann").send().await;
    let unknown = "0".repeat(32);
    let spared = member.follow("/tools/spared", &unknown).await;
    assert_eq!((spared.status, outcome(&spared)), (200, "unknown"));
    for (visitor, path) in [
        (&member, "/tools/told"),
        (&house.visitor(), "/tools/told"),
        (&house.visitor(), "/tools/spared"),
    ] {
        let told = visitor.follow(path, &unknown).await;
        assert_eq!((told.status, told.header("location")), (303, "/tools/expired"), "{path}");
    }
}

/// A browser that has opened a link and pressed the button, with the cookies it had before.
async fn pressed(
    house: &House,
    token: &str,
) -> (Visitor, Option<String>, crate::support::asked::Asked) {
    let phone = house.visitor();
    let page = phone.asked("/foreign-refuse", token).await;
    let before = phone.cookie();
    let back = page.press(&phone).send().await;
    assert_eq!(outcome(&back), "restored");
    (phone, before, page)
}

#[tokio::test]
async fn a_browser_that_lost_the_response_is_let_in_again_within_a_minute() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    let desk = house.visitor();
    let id = desk.write("cart", "3").await;
    let token = desk.mint("").await;
    let (phone, before, page) = pressed(&house, &token).await;
    let given = phone.cookie();
    phone.plant(&before.clone().unwrap());
    house.wait_secs(59);
    let again = page.press(&phone).send().await;
    assert_eq!((again.status, outcome(&again)), (200, "used"), "spared by onRefused");
    assert_eq!((&again.json()["id"], phone.id().await), (&json!(id), id.clone()));
    assert_ne!(phone.cookie(), before);
    assert!(given.is_some());
    log.has(&["token.granted_again"]);
    // One more browser in the session, and no third one.
    assert_eq!(house.stored().await[0].record.devices.len(), 2);
    phone.plant(&before.unwrap());
    house.wait_secs(1);
    let late = page.press(&phone).send().await;
    assert_eq!(late.status, 410);
    assert_ne!(phone.id().await, id);
}

#[tokio::test]
async fn nobody_else_is_let_in_again_and_nobody_who_was_put_out() {
    let house = house().await;
    let desk = house.visitor();
    let id = desk.write("cart", "3").await;
    let token = desk.mint("").await;
    let (phone, before, page) = pressed(&house, &token).await;
    let other = house.visitor();
    other.write("a", "1").await;
    let used = other.follow("/whoami", &token).await;
    assert_eq!(outcome(&used), "used");
    assert_ne!(used.json()["id"], json!(id));
    // Whoever has signed in elsewhere meanwhile stays there.
    let member = phone.clone();
    member.plant(&before.clone().unwrap());
    member.get("/login?privileges=simple&user=Ann").send().await;
    let own = member.id().await;
    assert_eq!(outcome(&member.follow("/whoami", &token).await), "used");
    assert_eq!(member.id().await, own);
    // A sign-in on the desk puts the phone out, also of what it had not heard of.
    desk.get("/login?privileges=admin&user=Bob").send().await;
    phone.plant(&before.unwrap());
    let put_out = page.press(&phone).send().await;
    assert_eq!(put_out.status, 410);
    assert_ne!(phone.id().await, id);
}
