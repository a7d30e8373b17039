//! By what a browser is known that minted a token, so that it is not asked about its own link.

use callgate::Settings;
use callgate::settings::AppName;
use callgate::settings::Cookie;
use callgate::settings::PublicOrigin;
use callgate::settings::SameSite;

use super::fresh;
use super::house;
use crate::support::House;
use crate::support::asked::Asked;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::with_token;

const BINDING: &str = "4DBIND_callgate";

/// The cookies of an answer whose names begin so.
fn given(answer: &callgate::gate::Answer, name: &str) -> Vec<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let texts = cookies.map(|value| value.to_str().unwrap().to_owned());
    texts.filter(|text| text.trim_start_matches("__Host-").starts_with(name)).collect()
}

#[tokio::test]
async fn the_browser_that_minted_is_not_asked_and_every_other_is() {
    let house = house().await;
    let desk = house.visitor();
    let id = desk.write("cart", "3").await;
    let token = desk.mint("").await;
    let stranger = house.visitor();
    assert!(Asked::is(&stranger.follow("/foreign", &token).await));
    // Whoever has minted tokens of his own is bound to those, and to no other.
    stranger.mint("").await;
    assert!(Asked::is(&stranger.follow("/foreign", &token).await));
    let back = desk.follow("/foreign", &token).await;
    assert_eq!((outcome(&back), back.json()["id"].as_str()), ("restored", Some(&*id)));
}

#[tokio::test]
async fn a_browser_is_known_again_in_another_session_of_its_own() {
    let house = house().await;
    let desk = house.visitor();
    let token = desk.mint("").await;
    let id = desk.id().await;
    desk.plant("");
    assert_ne!(desk.id().await, id);
    let back = desk.follow("/foreign", &token).await;
    assert_eq!((outcome(&back), back.json()["id"].as_str()), ("restored", Some(&*id)));
}

#[tokio::test]
async fn the_mint_may_ask_for_more_than_the_row_and_not_for_less() {
    let house = house().await;
    let desk = house.visitor();
    for (path, wish, desk_is_asked, others_are) in [
        ("/whoami", "", false, false),
        ("/whoami", "confirm=foreign", false, true),
        ("/whoami", "confirm=always", true, true),
        ("/foreign", "confirm=never", false, true),
        ("/foreign", "confirm=always", true, true),
        ("/always", "confirm=never", true, true),
        ("/always", "", true, true),
    ] {
        let (own, away) = (desk.mint(wish).await, desk.mint(wish).await);
        let at_desk = Asked::is(&desk.follow(path, &own).await);
        let elsewhere = Asked::is(&house.visitor().follow(path, &away).await);
        assert_eq!((at_desk, elsewhere), (desk_is_asked, others_are), "{path} {wish}");
        // What is asked about can still be clicked.
        for token in [own, away] {
            let visitor = house.visitor();
            let answer = visitor.follow(path, &token).await;
            if Asked::is(&answer) {
                let answer = Asked::read(path, &answer).press(&visitor).send().await;
                assert_eq!(outcome(&answer), "restored", "{path} {wish}");
            }
        }
    }
}

#[tokio::test]
async fn the_cookie_is_lax_and_lives_as_long_as_the_token_whatever_the_session_cookie_is() {
    for same_site in [SameSite::Lax, SameSite::Strict] {
        let cookie = Cookie { same_site, ..Cookie::default() };
        let house = House::on(fresh().await, Settings { cookie, ..settings() }).await;
        let visitor = house.visitor();
        let answer = visitor.get("/mint?lifespan=120").send().await;
        house.ledger.add(&answer.text());
        let [cookie] = given(&answer, BINDING).try_into().unwrap();
        let value = visitor.find_cookie(BINDING).unwrap();
        let rest = cookie.strip_prefix(&format!("{BINDING}={value}")).unwrap();
        assert_eq!(rest, "; Path=/; HttpOnly; SameSite=Lax; Max-Age=120");
        assert_eq!(given(&answer, "4DSID_")[0].contains("Strict"), same_site == SameSite::Strict);
    }
    let public_origin = Some(PublicOrigin::parse("https://shop.example").unwrap());
    let house = House::on(fresh().await, Settings { public_origin, ..settings() }).await;
    let answer = house.visitor().get("/mint").send().await;
    let [cookie] = given(&answer, BINDING).try_into().unwrap();
    assert!(cookie.starts_with("__Host-4DBIND_callgate="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600"), "{cookie}");
}

#[tokio::test]
async fn one_nonce_serves_every_token_of_a_browser_and_lasts_for_the_longest() {
    let house = house().await;
    let visitor = house.visitor();
    let mint = async |wish: &str| {
        let answer = visitor.get(&format!("/mint?lifespan={wish}")).send().await;
        house.ledger.add(&answer.text());
        (given(&answer, BINDING), answer.text())
    };
    let (first, early) = mint("600").await;
    let nonce = |cookies: &[String]| cookies[0].split(['=', '.']).nth(1).unwrap().to_owned();
    assert_eq!(first.len(), 1);
    let (shorter, _) = mint("60").await;
    assert_eq!(shorter, [] as [String; 0], "a shorter token needs no cookie of its own");
    house.wait_secs(300);
    let (longer, late) = mint("1200").await;
    assert_eq!(nonce(&longer), nonce(&first));
    assert!(longer[0].ends_with("Max-Age=1200"), "{longer:?}");
    for token in [early, late] {
        assert_eq!(outcome(&visitor.follow("/foreign", &token).await), "restored");
    }
    assert!(visitor.get("/whoami").send().await.headers.get("set-cookie").is_none());
    // Once it should be gone, it is given again.
    house.wait_secs(1_200);
    let (fresh, _) = mint("60").await;
    assert_eq!(fresh.len(), 1);
}

#[tokio::test]
async fn a_cookie_that_is_malformed_is_none() {
    let house = house().await;
    let desk = house.visitor();
    let token = desk.mint("").await;
    let value = desk.find_cookie(BINDING).unwrap();
    let follow = async |cookies: &str| {
        let target = with_token("/foreign", &token);
        house.visitor().get(&target).as_browser().header("cookie", cookies).send().await
    };
    let (nonce, _) = value.split_once('.').unwrap();
    for cookies in [
        format!("{BINDING}={nonce}"),
        format!("{BINDING}=\"{value}\""),
        format!("4DBIND_other={value}"),
        format!("{BINDING}={}", value.replace(nonce, &"0".repeat(32))),
    ] {
        assert!(Asked::is(&follow(&cookies).await), "{cookies}");
    }
    assert_eq!(outcome(&follow(&format!("a=b; {BINDING}={value}")).await), "restored");
}

#[tokio::test]
async fn who_must_not_be_given_a_cookie_mints_what_is_foreign_to_all() {
    let house = house().await;
    let desk = house.visitor();
    let way_in = desk.mint("mode=context").await;
    let platform = house.visitor();
    let answer = platform.get(&with_token("/mint", &way_in)).send().await;
    let token = answer.text();
    house.ledger.add(&token);
    assert!(answer.headers.get("set-cookie").is_none());
    for visitor in [&desk, &platform, &house.visitor()] {
        assert!(Asked::is(&visitor.follow("/foreign", &token).await));
    }
}

#[tokio::test]
async fn a_mint_is_bound_even_if_its_handler_fails() {
    let house = house().await;
    let visitor = house.visitor();
    let failed = visitor.get("/elevate-and-fail").send().await;
    assert_eq!((failed.status, given(&failed, BINDING).len()), (500, 1));
}

#[tokio::test]
async fn what_a_bound_browser_embeds_or_fetches_nobody_has_opened() {
    let house = house().await;
    let desk = house.visitor();
    let token = desk.mint("").await;
    let target = with_token("/foreign", &token);
    for (dest, mode) in
        [("iframe", "navigate"), ("image", "no-cors"), ("empty", "cors"), ("document", "no-cors")]
    {
        let ask = desk.get(&target).header("sec-fetch-dest", dest).header("sec-fetch-mode", mode);
        assert!(Asked::is(&ask.send().await), "{dest} {mode}");
    }
    let opened = desk.get(&target).header("sec-fetch-dest", "document");
    let opened = opened.header("sec-fetch-mode", "navigate").header("sec-fetch-user", "?1");
    assert_eq!(outcome(&opened.send().await), "restored");
}

#[tokio::test]
async fn a_restart_and_another_node_know_the_browser_and_another_application_does_not() {
    let store = fresh().await;
    let first = House::on(store.clone(), settings()).await;
    let desk = first.visitor();
    let (token, spare) = (desk.mint("").await, desk.mint("").await);
    let value = desk.find_cookie(BINDING).unwrap();
    let second = House::on(store.clone(), settings()).await;
    let returned = second.visitor();
    returned.plant_as(BINDING, &value);
    assert_eq!(outcome(&returned.call_back("/foreign", &token).await), "restored");

    let app = AppName::parse("bank").unwrap();
    let bank = House::on(store, Settings { app, ..settings() }).await;
    let customer = bank.visitor();
    customer.plant_as("4DBIND_bank", &value);
    let own = customer.mint("").await;
    customer.plant_as("4DBIND_callgate", &value);
    assert_eq!(outcome(&customer.follow("/foreign", &own).await), "restored");
    assert_eq!(outcome(&customer.follow("/foreign", &spare).await), "unknown");
}

#[tokio::test]
async fn by_hand_a_token_is_restored_as_its_mint_wants_it() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    let desk = house.visitor();
    let by_hand = |token: &str| format!("/restore?token={token}");
    for (wish, at_desk, elsewhere) in [
        ("", "restored", "restored"),
        ("confirm=foreign", "restored", "askFirst"),
        ("confirm=always", "askFirst", "askFirst"),
    ] {
        let (own, away) = (desk.mint(wish).await, desk.mint(wish).await);
        for (visitor, token, expected) in
            [(&desk, &own, at_desk), (&house.visitor(), &away, elsewhere)]
        {
            let answer = visitor.get(&by_hand(token)).as_browser().send().await;
            assert_eq!(outcome(&answer), expected, "{wish}");
            assert_eq!(answer.json()["restored"], expected == "restored");
            let before = house.unspent().await.len();
            // A request of another verb is no mere link: it counts as agreed.
            let answer = house.visitor().post(&by_hand(token)).as_browser().send().await;
            let left = usize::from(expected != "restored");
            assert_eq!(outcome(&answer), if left == 1 { "restored" } else { "used" }, "{wish}");
            assert_eq!(house.unspent().await.len(), before - left);
        }
    }
    log.has(&["token.restore_unconfirmed"]);
}
