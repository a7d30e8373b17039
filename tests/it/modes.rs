//! How far a token lets its bearer in, and what the row says about the answer; on every store.

use serde_json::json;

use super::house;
use crate::support::House;
use crate::support::outcome;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

/// A member of a session with something in it, and the session's id.
async fn member(house: &House) -> (Visitor, String) {
    let member = house.visitor();
    let id = member.write("cart", "3").await;
    (member, id)
}

#[tokio::test]
async fn auto_gives_a_cookie_to_a_browser_and_none_to_a_server() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let mut joined = 1;
    for (name, value, gets) in [
        ("accept", "text/html", false),
        ("sec-fetch-mode", "cors", true),
        ("sec-fetch-site", "cross-site", true),
        ("accept", "*/*", false),
        ("accept", "application/json", false),
        ("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)", false),
    ] {
        let token = member.mint("").await;
        let caller = house.visitor();
        let answer = caller.get(&with_token("/whoami", &token)).header(name, value).send().await;
        assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
        assert_eq!(caller.cookie().is_some(), gets, "{name}: {value}");
        assert_eq!(caller.id().await == id, gets, "{name}: {value}");
        joined += usize::from(gets);
        let stored = house.stored().await;
        let held = stored.iter().find(|opened| opened.record.id.to_string() == id).unwrap();
        assert_eq!(held.record.devices.len(), joined, "{name}: {value}");
    }
}

#[tokio::test]
async fn the_row_sets_the_mode_and_the_mint_wins_over_it() {
    let house = house().await;
    let (member, id) = member(&house).await;
    for (row, wish, gets) in [
        ("/share", "", true),
        ("/context", "", false),
        ("/share", "mode=context", false),
        ("/context", "mode=share", true),
        ("/transfer", "mode=context", false),
        ("/share", "mode=auto", false),
    ] {
        let token = member.mint(wish).await;
        let caller = house.visitor();
        let answer = caller.call_back(row, &token).await;
        assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
        assert_eq!(answer.headers.contains_key("set-cookie"), gets, "{row} {wish}");
    }
    assert_eq!(member.id().await, id);
}

#[tokio::test]
async fn a_context_caller_works_in_the_session_and_gets_nothing_that_opens_it() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let token = member.mint("mode=context").await;
    let platform = house.visitor();
    let target = with_token("/write?key=paid&value=yes", &token);
    let answer = platform.post(&target).as_browser().send().await;
    assert_eq!((answer.status, answer.json()["result"].clone()), (200, json!(id)));
    assert!(answer.headers.get("set-cookie").is_none());
    assert_eq!(member.session().await["storage"], json!({ "cart": "3", "paid": "yes" }));
    assert_eq!(member.get("/devices").send().await.json()["result"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn transfer_ends_every_earlier_credential_and_token() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let (sibling, token) = (member.mint("").await, member.mint("").await);
    let phone = house.visitor();
    assert_eq!(outcome(&phone.call_back("/transfer", &token).await), "restored");
    assert_eq!(phone.session().await["storage"], json!({ "cart": "3" }));
    assert_eq!(phone.id().await, id);
    let before = member.session().await;
    assert_ne!(before["id"], json!(id));
    assert_eq!((&before["guest"], &before["storage"]), (&json!(true), &json!({})));
    let refused = house.visitor().follow("/whoami", &sibling).await;
    assert_ne!(outcome(&refused), "restored");
}

#[tokio::test]
async fn transfer_to_the_browser_that_minted_keeps_it_in() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let phone = house.visitor();
    phone.follow("/whoami", &member.mint("").await).await;
    let token = member.mint("").await;
    assert_eq!(outcome(&member.follow("/transfer", &token).await), "restored");
    assert_eq!(member.id().await, id);
    assert_ne!(phone.id().await, id);
}

#[tokio::test]
async fn the_session_that_the_browser_had_is_left_alone() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let visitor = house.visitor();
    let own = visitor.write("mine", "1").await;
    let before = visitor.cookie().unwrap();
    let way_back = visitor.mint("").await;
    visitor.follow("/whoami", &member.mint("").await).await;
    assert_eq!(visitor.session().await["storage"], json!({ "cart": "3" }));
    assert_ne!(visitor.cookie().unwrap(), before);

    let other_tab = house.visitor();
    other_tab.plant(&before);
    assert_eq!(other_tab.id().await, own, "the former session lives, and its cookie too");
    visitor.follow("/whoami", &way_back).await;
    assert_eq!(visitor.session().await["storage"], json!({ "mine": "1" }));
    assert_eq!(member.id().await, id);
}

#[tokio::test]
async fn a_token_of_the_browsers_own_session_keeps_its_cookie() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let (token, cookie) = (member.mint("").await, member.cookie());
    let answer = member.follow("/whoami", &token).await;
    assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
    assert!(answer.headers.get("set-cookie").is_none());
    assert_eq!(member.cookie(), cookie);
    assert_eq!(member.get("/devices").send().await.json()["result"].as_array().unwrap().len(), 1);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "used");
}

#[tokio::test]
async fn a_refused_token_leaves_cookie_and_session_untouched() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let spent = house.visitor().mint("").await;
    house.visitor().follow("/whoami", &spent).await;
    let bound = house.visitor().mint("for=Probe.echo").await;
    for token in [spent.as_str(), bound.as_str(), "nonsense", &"0".repeat(32)] {
        for path in ["/whoami", "/share", "/transfer", "/context", "/strip", "/refuse", "/moved"] {
            let cookie = member.cookie();
            let answer = member.follow(path, token).await;
            assert!(answer.headers.get("set-cookie").is_none(), "{path}");
            assert_eq!(member.cookie(), cookie);
        }
        assert_eq!(member.id().await, id);
    }
}

#[tokio::test]
async fn a_stranger_with_a_refused_token_is_a_guest() {
    let house = house().await;
    let stranger = house.visitor();
    let answer = stranger.follow("/whoami", &"0".repeat(32)).await;
    assert_eq!(answer.json()["guest"], json!(true));
    assert_eq!(answer.json()["id"], json!(stranger.id().await));
    assert!(house.stored().await.is_empty());
}

#[tokio::test]
async fn strip_sends_the_browser_to_the_same_address_without_the_token() {
    let house = house().await;
    let (member, id) = member(&house).await;
    for (before, after) in [
        ("/strip?$4DSID=T", "/strip"),
        ("/strip?a=%20b&$4DSID=T&c=d'&e", "/strip?a=%20b&c=d'&e"),
        ("/strip/x%C3%A9?%244DSID=T&q=1", "/strip/x%C3%A9?q=1"),
        ("//strip?$4DSID=T", "/strip"),
        ("/strip-state?state=T&code=9", "/strip-state?code=9"),
    ] {
        let visitor = house.visitor();
        let target = before.replace('T', &member.mint("").await);
        let answer = visitor.get(&target).as_browser().send().await;
        assert_eq!((answer.status, answer.header("location")), (303, after));
        assert!(answer.body.is_empty());
        let landed = visitor.get(after).as_browser().send().await;
        assert_eq!((outcome(&landed), &landed.json()["id"]), ("absent", &json!(id)));
    }
}

#[tokio::test]
async fn strip_leaves_alone_what_could_not_be_asked_again() {
    let house = house().await;
    let (member, id) = member(&house).await;
    let post = with_token("/strip", &member.mint("").await);
    let answer = house.visitor().post(&post).as_browser().send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "restored"));
    for (path, wish) in [("/strip-context", ""), ("/strip", "mode=context"), ("/strip", "")] {
        let answer = house.visitor().call_back(path, &member.mint(wish).await).await;
        assert_eq!((answer.status, outcome(&answer)), (200, "restored"), "{path} {wish}");
        assert_eq!(answer.json()["id"], json!(id));
    }
    let refused = house.visitor().follow("/strip", &"0".repeat(32)).await;
    assert_eq!((refused.status, outcome(&refused)), (200, "unknown"));
}

#[tokio::test]
async fn on_refused_answers_in_place_of_the_handler() {
    let house = house().await;
    let (member, _) = member(&house).await;
    let spent = member.mint("").await;
    member.follow("/whoami", &spent).await;
    let bound = member.mint("for=Probe.echo").await;
    let expired = member.mint("lifespan=10").await;
    house.wait_secs(10);
    let runs = house.probe.runs();
    let mut bodies = Vec::new();
    for token in [spent.as_str(), &bound, &expired, "nonsense", &"0".repeat(32)] {
        let refused = house.visitor().call_back("/refuse", token).await;
        assert_eq!(refused.status, 403);
        bodies.push(refused.body);
        let moved = house.visitor().follow("/moved", token).await;
        assert_eq!((moved.status, moved.header("location")), (303, "/expired"));
        let posted = house.visitor().post(&with_token("/moved", token)).send().await;
        assert_eq!((posted.status, posted.header("location")), (303, "/expired"));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "nobody can tell one refusal from another");
    assert_eq!(house.probe.runs(), runs);

    for path in ["/refuse", "/moved"] {
        let answer = house.visitor().get(path).send().await;
        assert_eq!((answer.status, outcome(&answer)), (200, "absent"), "no token is no refusal");
        let good = house.visitor().follow(path, &member.mint("").await).await;
        assert_eq!((good.status, outcome(&good)), (200, "restored"));
    }
}

#[tokio::test]
async fn a_browser_whose_token_was_redeemed_gets_its_cookie_even_if_the_handler_fails() {
    let house = house().await;
    let (member, id) = member(&house).await;
    for path in ["/share-fail", "/share-panic"] {
        let visitor = house.visitor();
        let answer = visitor.follow(path, &member.mint("").await).await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(visitor.id().await, id, "{path}: the token is spent, so this was its only way");
    }
}

#[tokio::test]
async fn a_stranger_gets_no_cookie_with_a_failure() {
    let house = house().await;
    for path in ["/fail", "/panic", "/admin", "/nowhere", "/no-class"] {
        let answer = house.visitor().get(path).as_browser().send().await;
        assert!(answer.status >= 400 && !answer.headers.contains_key("set-cookie"), "{path}");
    }
}
