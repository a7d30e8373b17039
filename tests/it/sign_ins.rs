//! Two tabs in which somebody signs in at once: the second callback finds its token ended by the
//! first one, and is told so. On every store.

use super::house;
use crate::support::House;
use crate::support::outcome;
use crate::support::visitor::Visitor;

/// A browser that has begun to sign in twice, and has come back in one tab; the token of the other.
async fn two_tabs(house: &House, query: &str) -> (Visitor, String) {
    let browser = house.visitor();
    let (first, second) = (browser.mint("").await, browser.mint(query).await);
    let signed_in = browser.follow("/share-login?privileges=boss&user=Anna", &first).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    (browser, second)
}

#[tokio::test]
async fn the_callback_of_the_other_tab_is_told_that_a_sign_in_ended_it() {
    let house = house().await;
    let (browser, second) = two_tabs(&house, "").await;
    for _ in 0..2 {
        let told = browser.follow("/whoami", &second).await;
        assert_eq!((told.status, outcome(&told)), (200, "endedBySignIn"));
        assert_eq!(told.json()["user"], "Anna");
    }
    // By hand, with a function that it was not for, and from anywhere.
    let by_hand = browser.get(&format!("/restore?token={second}")).send_unchecked().await;
    assert_eq!(outcome(&by_hand), "endedBySignIn");
    let elsewhere = house.visitor();
    let told = elsewhere.follow("/whoami", &second).await;
    assert_eq!((outcome(&told), told.json()["user"].as_str()), ("endedBySignIn", Some("")));
    // Who has no token learns nothing, and what is redeemed is used.
    let other: String = second.chars().rev().collect();
    assert_eq!(outcome(&elsewhere.follow("/whoami", &other).await), "unknown");
}

#[tokio::test]
async fn a_token_for_this_browser_alone_says_so_to_this_browser_alone() {
    let house = house().await;
    let (browser, second) = two_tabs(&house, "sameBrowser=1").await;
    assert_eq!(outcome(&browser.follow("/whoami", &second).await), "endedBySignIn");
    assert_eq!(outcome(&house.visitor().follow("/whoami", &second).await), "unknown");
}

#[tokio::test]
async fn what_a_row_says_of_refused_tokens_holds_for_ended_ones() {
    let house = house().await;
    let (browser, second) = two_tabs(&house, "").await;
    let refused = browser.follow("/refuse", &second).await;
    assert_eq!(refused.status, 403);
    let moved = browser.follow("/moved", &second).await;
    assert_eq!((moved.status, moved.header("location")), (303, "/expired"));
    let paid = house.visitor().call_back("/pay", &second).await;
    assert_eq!((paid.status, outcome(&paid)), (201, "endedBySignIn"));
}

#[tokio::test]
async fn an_ended_token_is_unknown_once_it_would_have_expired() {
    let house = house().await;
    let (browser, second) = two_tabs(&house, "lifespan=60").await;
    house.wait_secs(59);
    assert_eq!(outcome(&browser.follow("/whoami", &second).await), "endedBySignIn");
    house.wait_secs(1);
    assert_eq!(outcome(&browser.follow("/whoami", &second).await), "unknown");
}
