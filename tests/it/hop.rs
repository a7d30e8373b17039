//! Forms that other sites send with a token: the hop that shows whether the browser is signed in.

use callgate::gate::Answer;
use serde_json::json;

use super::fresh;
use super::house;
use crate::support::House;
use crate::support::asked::Asked;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Ask;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

const ROWS: &str = r#"
    { "class": "Probe", "method": "message", "pattern": "form", "otp": { "param": "state" } }"#;

/// A form that a page of another site has a browser send: without `Lax` cookies.
fn sent_from_afar(visitor: &Visitor, target: &str) -> Ask {
    let ask = visitor.post(target).as_browser().header("sec-fetch-site", "cross-site");
    ask.header("origin", "https://evil.example")
}

fn stranger(house: &House) -> Visitor {
    house.visitor()
}

/// Follows the hop with the cookies of this visitor.
async fn hop(visitor: &Visitor, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.headers.get("set-cookie").is_none());
    let location = answer.header("location").to_owned();
    assert!(location.contains("?$4DHOP="), "{location}");
    visitor.get(&location).as_browser().send_unchecked().await
}

async fn signed_in(house: &House) -> (Visitor, String) {
    let member = house.visitor();
    member.get("/login?privileges=simple&user=Ann").send().await;
    let id = member.id().await;
    (member, id)
}

#[tokio::test]
async fn a_form_goes_on_as_the_post_that_it_was() {
    let house = House::rows_on(fresh().await, settings(), ROWS).await;
    let desk = house.visitor();
    let token = desk.mint("").await;
    let phone = house.visitor();
    let body = format!("code=7&state={token}");
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    let ask = sent_from_afar(&stranger(&house), "/form?a=1").header("content-type", kind);
    let sent = ask.header("x-own", "kept").body(body.clone()).send_unchecked().await;
    assert_eq!(house.unspent().await.len(), 1);
    let seen = hop(&phone, &sent).await.json()["result"].clone();
    assert_eq!((&seen["verb"], &seen["otp"]), (&json!("POST"), &json!("restored")));
    assert_eq!((&seen["text"], &seen["url"]), (&json!(body), &json!("/form?a=1")));
    assert_eq!(seen["headers"]["content-type"], json!(kind));
    assert_eq!(seen["headers"]["x-own"], json!("kept"));
    assert_eq!(seen["headers"].get("cookie"), None, "it was sent without");
    assert_eq!(phone.id().await, desk.id().await);
    let again = phone.get(sent.header("location")).as_browser().send().await;
    assert_eq!((again.status, again.text().contains("send it again")), (503, true));
}

/// Two slashes at the beginning of an address name a host.
#[tokio::test]
async fn a_form_is_sent_nowhere_but_to_this_site() {
    let house = House::rows_on(fresh().await, settings(), ROWS).await;
    let token = house.visitor().mint("").await;
    for path in ["//form", "///form", "/form"] {
        let kind = "application/x-www-form-urlencoded";
        let ask = sent_from_afar(&stranger(&house), path).header("content-type", kind);
        let sent = ask.body(format!("state={token}")).send_unchecked().await;
        assert_eq!(sent.status, 303, "{path}");
        assert!(sent.header("location").starts_with("/form?"), "{}", sent.header("location"));
    }
    let token = house.visitor().mint("").await;
    let sent = sent_from_afar(&stranger(&house), &format!("//form?$4DSID={token}"));
    let sent = sent.send_unchecked().await;
    assert!(sent.header("location").starts_with("/form?"), "{}", sent.header("location"));
}

#[tokio::test]
async fn whoever_is_signed_in_is_asked_before_a_form_moves_him() {
    let house = house().await;
    for path in ["/whoami", "/share", "/transfer", "/foreign", "/always"] {
        let (member, id) = signed_in(&house).await;
        let desk = house.visitor();
        let other = desk.write("cart", "3").await;
        let token = desk.mint("").await;
        let sent = sent_from_afar(&stranger(&house), &with_token(path, &token)).body("a=1");
        let asked = hop(&member, &sent.send().await).await;
        assert!(Asked::is(&asked) && asked.text().contains("Ann"), "{path}: {}", asked.text());
        assert!(
            asked
                .headers
                .get_all("set-cookie")
                .iter()
                .all(|it| { it.to_str().unwrap().contains("4DCONF") })
        );
        assert_eq!((member.id().await, house.unspent().await.len()), (id.clone(), 1), "{path}");
        let page = Asked::read(path, &asked);
        let back = page.press(&member).send_unchecked().await;
        assert_eq!((outcome(&back), &back.json()["id"]), ("restored", &json!(other)), "{path}");
    }
}

#[tokio::test]
async fn a_form_never_runs_in_the_session_of_the_cookie_that_the_hop_shows() {
    let house = house().await;
    let (member, id) = signed_in(&house).await;
    let used = house.visitor().mint("").await;
    house.visitor().follow("/whoami", &used).await;
    for token in [used, "0".repeat(32)] {
        let cookie = member.cookie();
        let target = format!("/write?key=stolen&value=1&$4DSID={token}");
        let sent = sent_from_afar(&stranger(&house), &target).send().await;
        let answer = hop(&member, &sent).await;
        assert_eq!(answer.status, 200);
        assert_ne!(answer.json()["result"], json!(id));
        assert_eq!(member.cookie(), cookie, "its cookie is not overwritten");
        let session = member.session().await;
        assert_eq!((&session["id"], &session["storage"]), (&json!(id), &json!({})));
        let sent = sent_from_afar(&stranger(&house), &format!("/simple-only?$4DSID={token}"));
        assert_eq!(hop(&member, &sent.send().await).await.status, 401);
    }
}

#[tokio::test]
async fn only_forms_of_other_sites_without_a_cookie_make_the_hop() {
    let house = house().await;
    let desk = house.visitor();
    let home: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "same-origin"), ("accept", "text/html"), ("accept-language", "de")],
        &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        &[("origin", "http://localhost"), ("accept", "text/html"), ("accept-language", "de")],
        // A platform's server, and a script of another site, which can be shown no page.
        &[("origin", "https://pay.example"), ("accept", "*/*")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
    ];
    for headers in home {
        let token = desk.mint("").await;
        let visitor = house.visitor();
        let mut ask = visitor.post(&with_token("/whoami", &token));
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        assert_eq!(outcome(&ask.send().await), "restored", "{headers:?}");
    }
    let away: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        &[("origin", "https://evil.example"), ("accept", "text/html"), ("accept-language", "de")],
        &[("origin", "null"), ("accept", "text/html"), ("user-agent", "Mozilla/5.0")],
    ];
    for headers in away {
        let token = desk.mint("").await;
        let mut ask = stranger(&house).post(&with_token("/whoami", &token));
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let sent = ask.send().await;
        assert_eq!(outcome(&hop(&house.visitor(), &sent).await), "restored", "{headers:?}");
    }
    let plain = sent_from_afar(&stranger(&house), "/whoami").send().await;
    assert_eq!((plain.status, outcome(&plain)), (200, "absent"), "without a token");
    let context = with_token("/context", &desk.mint("").await);
    let context = sent_from_afar(&stranger(&house), &context).send().await;
    assert_eq!(outcome(&context), "restored", "nobody is moved");
}

#[tokio::test]
async fn a_form_with_a_cookie_of_a_session_is_asked_about_without_a_hop() {
    let house = house().await;
    let (member, id) = signed_in(&house).await;
    let desk = house.visitor();
    let other = desk.write("cart", "3").await;
    let token = desk.mint("").await;
    let ask = member.post(&with_token("/whoami", &token)).as_browser().body("a=1");
    let asked = ask.header("sec-fetch-site", "same-origin").send().await;
    assert!(Asked::is(&asked), "{}", asked.text());
    assert_eq!((member.id().await, house.unspent().await.len()), (id, 1));
    let page = Asked::read("/whoami", &asked);
    // Without its proof the form is nothing.
    let mut forged = page.clone();
    forged.proof = "0".repeat(64);
    assert_ne!(outcome(&forged.press(&member).send_unchecked().await), "restored");
    let asked = member.post(&with_token("/whoami", &token)).as_browser().body("a=1");
    let page = Asked::read("/whoami", &asked.send().await);
    let back = page.press(&member).send_unchecked().await;
    assert_eq!((outcome(&back), &back.json()["id"]), ("restored", &json!(other)));
}

#[tokio::test]
async fn what_is_kept_is_kept_for_a_minute() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let sent = sent_from_afar(&stranger(&house), &with_token("/whoami", &token)).send().await;
    house.wait_secs(59);
    let prefetched = house.visitor().get(sent.header("location")).header("purpose", "prefetch");
    assert_eq!(prefetched.send().await.status, 503);
    assert_eq!(outcome(&hop(&house.visitor(), &sent).await), "restored");
    let token = house.visitor().mint("").await;
    let sent = sent_from_afar(&stranger(&house), &with_token("/whoami", &token)).send().await;
    house.wait_secs(60);
    let late = hop(&house.visitor(), &sent).await;
    assert_eq!((late.status, house.unspent().await.len()), (503, 1));
}
