//! The page that asks before a link counts: who sees it, what it says, and whose click is heard.

use callgate::Settings;
use callgate::gate::Answer;
use callgate::settings::PublicOrigin;
use callgate::table::BasePath;
use serde_json::json;

use super::fresh;
use super::house;
use crate::support::House;
use crate::support::asked::Asked;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

const NONCE: &str = "4DCONF";

/// A member of a session with something in it, and the session's id.
async fn member(house: &House) -> (Visitor, String) {
    let member = house.visitor();
    let id = member.write("cart", "3").await;
    (member, id)
}

/// Whether a token can still be redeemed, seen in the store.
async fn is_unspent(house: &House, count: usize) -> bool {
    house.unspent().await.len() == count
}

fn restored(answer: &Answer, id: &str) -> bool {
    outcome(answer) == "restored" && answer.json()["id"] == json!(id)
}

#[tokio::test]
async fn a_link_that_asks_is_redeemed_by_the_click() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let token = desk.mint("").await;
    let phone = house.visitor();
    for _ in 0..3 {
        phone.asked("/foreign", &token).await;
        assert!(is_unspent(&house, 1).await);
    }
    assert_eq!((house.probe.runs(), house.stored().await.len()), (0, 1));
    let page = phone.asked("/foreign", &token).await;
    let back = page.press(&phone).send().await;
    assert!(restored(&back, &id) && is_unspent(&house, 0).await);
    assert_eq!(phone.id().await, id);
    assert_ne!(phone.cookie(), desk.cookie());
    let again = page.press(&phone).send().await;
    assert_eq!((again.status, outcome(&again)), (200, "used"));
}

#[tokio::test]
async fn after_the_click_the_handler_sees_the_get_that_was_asked_about() {
    let house = house().await;
    let desk = house.visitor();
    for query in ["", "a=1&b=%20x", "&&a='1'"] {
        for key in ["$4DSID", "%244DSID"] {
            for raw in [format!("{key}=TOKEN&{query}"), format!("{query}&{key}=TOKEN")] {
                let (token, phone) = (desk.mint("").await, house.visitor());
                let raw = raw.replace("TOKEN", &token);
                let target = format!("/foreign-message/deep%20er?{raw}");
                let page = phone.get(&target).as_browser().send().await;
                let page = Asked::read(&target, &page);
                assert!(!page.query.contains(&token), "{}", page.query);
                // The handler tells what it saw, the token too.
                let seen = page.press(&phone).send_unchecked().await.json();
                let seen = &seen["result"];
                assert_eq!((&seen["url"], &seen["verb"]), (&json!(target), &json!("GET")));
                assert_eq!((&seen["bytes"], &seen["text"]), (&json!(0), &json!("")));
                assert!(seen["headers"].get("content-type").is_none(), "{seen}");
                assert_eq!(seen["otp"], json!("restored"));
            }
        }
    }
}

#[tokio::test]
async fn whatever_only_opens_links_spends_nothing() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    for path in ["/foreign", "/always"] {
        let token = desk.mint("").await;
        let target = with_token(path, &token);
        let scanners: [(&str, &[(&str, &str)]); 9] = [
            ("GET", &[]),
            ("GET", &[("accept", "*/*"), ("user-agent", "curl/8")]),
            ("GET", &[("accept", "text/html"), ("user-agent", "Mozilla/5.0 Chrome/140")]),
            ("GET", &[("accept", "text/html"), ("user-agent", "Slackbot-LinkExpanding 1.0")]),
            ("GET", &[("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")]),
            ("GET", &[("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors")]),
            ("GET", &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")]),
            ("HEAD", &[]),
            ("OPTIONS", &[]),
        ];
        for (verb, headers) in scanners {
            let scanner = house.visitor();
            let mut ask = scanner.call(verb, &target);
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            let answer = ask.send().await;
            assert_eq!(Asked::is(&answer), verb == "GET", "{verb} {headers:?}");
            assert!(is_unspent(&house, 1).await, "{verb} {headers:?}");
            assert_ne!(scanner.id().await, id);
        }
        let phone = house.visitor();
        let back = phone.asked(path, &token).await.press(&phone).send().await;
        assert!(restored(&back, &id));
    }
}

#[tokio::test]
async fn many_clicks_at_once_have_one_winner() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let mut pages = Vec::new();
    for _ in 0..32 {
        let visitor = house.visitor();
        pages.push((visitor.asked("/foreign", &token).await, visitor));
    }
    let mut clicks = tokio::task::JoinSet::new();
    for (page, visitor) in pages {
        clicks.spawn(async move { outcome(&page.press(&visitor).send().await).to_owned() });
    }
    let outcomes = clicks.join_all().await;
    let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count("restored"), count("used")), (1, 31));
}

#[tokio::test]
async fn other_verbs_redeem_directly() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    for verb in ["POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/foreign", "/always"] {
            let target = with_token(path, &desk.mint("").await);
            let answer = house.visitor().call(verb, &target).as_browser().send().await;
            assert!(restored(&answer, &id), "{verb} {path}");
        }
    }
    let token = desk.mint("").await;
    let form = house.visitor().post("/foreign-state").form(&[("state", &token)]);
    assert!(restored(&form.send().await, &id));
}

#[tokio::test]
async fn the_page_is_guarded_and_loads_nothing() {
    let house = house().await;
    let desk = house.visitor();
    let target = with_token("/foreign", &desk.mint("").await);
    let phone = house.visitor();
    let answer = phone.get(&target).as_browser().send().await;
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
        ("content-language", "en"),
        ("vary", "Accept-Language"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let policy = answer.header("content-security-policy");
    let (before, rest) = policy.split_once("'sha256-").unwrap();
    assert_eq!(before, "default-src 'none'; style-src ");
    let after = "='; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    assert_eq!(&rest[43..], after, "{policy}");
    let page = answer.text();
    for word in ["<script", "src=", "http:", "https:", "style=", "{{", "onclick"] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cookie = cookies.map(|value| value.to_str().unwrap()).find(|text| text.contains(NONCE));
    let (_, attributes) = cookie.unwrap().split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict; Max-Age=600");
}

#[tokio::test]
async fn the_page_speaks_the_visitors_language() {
    let house = house().await;
    let target = with_token("/foreign", &house.visitor().mint("").await);
    for (accept, tag, words) in [
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr", "Encore un clic"),
        ("de", "de", "Noch ein Klick"),
        ("pt, es-MX;q=0.7, en;q=0.3", "es", "Un clic más"),
        ("ja,en-US;q=0.9", "ja", "もう一度クリックしてください"),
        ("pt-BR", "en", "One more click"),
        ("", "en", "One more click"),
    ] {
        let answer = house.visitor().get(&target).header("accept-language", accept).send().await;
        assert_eq!(answer.header("content-language"), tag, "{accept}");
        let page = answer.text();
        assert!(page.contains(&format!("<html lang=\"{tag}\">")) && page.contains(words), "{page}");
        assert!(page.contains("callgate"), "the page does not say who asks");
    }
}

/// What may be changed about a form, and how the test calls it.
type Forgery = (&'static str, fn(&mut Asked, &Visitor), &'static [(&'static str, &'static str)]);

#[tokio::test]
async fn a_form_that_is_not_ours_is_refused_and_spends_nothing() {
    let (log, _capture) = Log::capture();
    let forgeries: [Forgery; 12] = [
        ("no cookie", |_, visitor| visitor.plant_as(NONCE, ""), &[]),
        ("another cookie", |_, visitor| visitor.plant_as(NONCE, &"0".repeat(32)), &[]),
        ("a cookie that is none", |_, visitor| visitor.plant_as(NONCE, "x"), &[]),
        ("no proof", |page, _| page.proof.clear(), &[]),
        ("another proof", |page, _| page.proof = "0".repeat(64), &[]),
        ("another question", |page, _| page.question = "switch".into(), &[]),
        ("no question", |page, _| page.question = "what".into(), &[]),
        ("another place", |page, _| page.query = "$4DCONFIRM=7".into(), &[]),
        ("cross-site", |_, _| (), &[("sec-fetch-site", "cross-site")]),
        ("same-site", |_, _| (), &[("sec-fetch-site", "same-site")]),
        ("typed in", |_, _| (), &[("sec-fetch-site", "none"), ("origin", "null")]),
        ("foreign origin", |_, _| (), &[("origin", "http://evil.example")]),
    ];
    let house = house().await;
    let (desk, id) = member(&house).await;
    let token = desk.mint("").await;
    for (what, forge, headers) in forgeries {
        let victim = house.visitor();
        let mut page = victim.asked("/foreign", &token).await;
        forge(&mut page, &victim);
        let mut ask = page.form(&victim);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let answer = ask.send().await;
        assert_eq!(answer.status, 403, "{what}");
        assert!(answer.text().contains("confirm_refused"), "{what}: {}", answer.text());
        assert!(is_unspent(&house, 1).await, "{what}");
        assert_ne!(victim.id().await, id, "{what}");
    }
    assert_eq!(house.stored().await.len(), 1);
    let phone = house.visitor();
    assert!(restored(&phone.asked("/foreign", &token).await.press(&phone).send().await, &id));
    log.has(&["confirm.refused", "token.asked"]);
}

#[tokio::test]
async fn the_proof_of_one_token_or_browser_is_none_for_another() {
    let house = house().await;
    let desk = house.visitor();
    let (mine, yours) = (desk.mint("").await, desk.mint("").await);
    let (attacker, victim) = (house.visitor(), house.visitor());
    let at_attacker = attacker.asked("/foreign", &mine).await;
    let at_victim = victim.asked("/foreign", &yours).await;
    // The attacker's own form in the victim's browser, and his token with the victim's proof.
    let mut mixed = at_victim.clone();
    mixed.token.clone_from(&at_attacker.token);
    for form in [at_attacker, mixed] {
        let plain = form.form(&victim).send().await;
        assert_eq!((plain.status, is_unspent(&house, 2).await), (403, true));
    }
    // Pages in two windows of one browser do not make each other void.
    let other = victim.asked("/foreign", &mine).await;
    assert_eq!(outcome(&at_victim.press(&victim).send().await), "restored");
    assert_eq!(outcome(&other.press(&victim).send().await), "restored");
}

#[tokio::test]
async fn a_cookie_of_the_page_that_is_doubled_proves_no_more_than_each_of_them() {
    let house = house().await;
    let desk = house.visitor();
    let (mine, yours) = (desk.mint("").await, desk.mint("").await);
    let (other, victim) = (house.visitor(), house.visitor());
    let at_victim = victim.asked("/foreign", &yours).await;
    other.asked("/foreign", &yours).await;
    let nonce = other.find_cookie(NONCE).unwrap();
    // Another token with the proof of this one, and a proof that no page had.
    let mut mixed = at_victim.clone();
    mixed.token = with_token("", &mine).trim_start_matches('?').to_owned();
    let mut forged = at_victim.clone();
    forged.proof = "0".repeat(at_victim.proof.len());
    for planted in [&*nonce, "planted", ""] {
        let cookie = format!("{NONCE}={planted}");
        for form in [&mixed, &forged] {
            let answer = form.form(&victim).header("cookie", &cookie).send().await;
            assert_eq!((answer.status, is_unspent(&house, 2).await), (403, true), "{planted:?}");
        }
    }
    // And it makes no honest form void.
    let cookie = format!("{NONCE}={nonce}");
    let honest = at_victim.press(&victim).header("cookie", &cookie).send().await;
    assert_eq!(outcome(&honest), "restored");
}

#[tokio::test]
async fn what_is_no_form_of_the_page_is_refused() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let phone = house.visitor();
    let page = phone.asked("/foreign", &token).await;
    let fields = format!("token=%24{}&question=click&proof={}", &page.token[1..], page.proof);
    let form = "application/x-www-form-urlencoded";
    let repeated = format!("{fields}&proof={}", page.proof);
    let smuggled = fields.replace("&question", "%26a%3D1&question");
    let huge = format!("{fields}&{}", "x".repeat(8 * 1024));
    for (kind, body, status) in [
        ("text/plain", fields.as_str(), 403),
        ("application/json", "{}", 403),
        (form, "", 403),
        (form, &repeated, 403),
        (form, &smuggled, 403),
        (form, &huge, 413),
    ] {
        let ask = phone.post(&page.target()).header("content-type", kind).body(body.to_owned());
        let answer = ask.header("accept", "application/json").send_unchecked().await;
        assert_eq!(answer.status, status, "{kind} {body}");
        if status == 403 {
            assert_eq!(answer.json()["code"], json!("confirm_refused"));
        }
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(is_unspent(&house, 1).await);
    let ask = phone.post(&page.target()).header("content-type", form).body(fields);
    assert_eq!(outcome(&ask.send_unchecked().await), "restored");
}

#[tokio::test]
async fn our_own_origin_and_silence_are_no_foreign_site() {
    let house = house().await;
    let desk = house.visitor();
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "http://localhost")],
        &[("origin", "http://localhost"), ("sec-fetch-site", "same-origin")],
    ] {
        let token = desk.mint("").await;
        let phone = house.visitor();
        let mut ask = phone.asked("/foreign", &token).await.form(&phone);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        assert_eq!(outcome(&ask.send().await), "restored", "{headers:?}");
    }
    let public_origin = Some(PublicOrigin::parse("https://shop.example").unwrap());
    let house = House::on(fresh().await, Settings { public_origin, ..settings() }).await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let page = phone.asked("/foreign", &desk.mint("").await).await;
    assert!(phone.find_cookie("__Host-4DCONF").is_some());
    for (origin, status) in [("http://localhost", 403), ("https://shop.example", 200)] {
        let answer = page.form(&phone).header("origin", origin).send().await;
        assert_eq!(answer.status, status, "{origin}");
    }
}

#[tokio::test]
async fn who_pressed_our_own_button_too_late_is_asked_again() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let token = desk.mint("").await;
    let target = with_token("/foreign", &token);
    let phone = house.visitor();
    let page = phone.asked("/foreign", &token).await;
    // The browser has dropped the cookie.
    phone.plant_as(NONCE, "");
    let late = page.press(&phone).send().await;
    assert_eq!((late.status, is_unspent(&house, 1).await), (403, true));
    let again = Asked::read(&target, &Answer { status: 200, ..late.clone() });
    assert!(again.text.contains("The link is still unused."), "{}", again.text);
    assert_eq!(late.header("x-frame-options"), "DENY");
    assert!(restored(&again.press(&phone).send().await, &id));
}

#[tokio::test]
async fn the_click_of_a_token_that_is_over_meanwhile_runs_the_handler_with_that_outcome() {
    let house = house().await;
    let desk = house.visitor();
    let phone = house.visitor();
    let used = desk.mint("").await;
    let page = phone.asked("/foreign", &used).await;
    assert_eq!(outcome(&desk.follow("/foreign", &used).await), "restored");
    let late = page.press(&phone).send().await;
    assert_eq!((late.status, outcome(&late)), (200, "used"));

    let expired = desk.mint("lifespan=60").await;
    let page = phone.asked("/foreign", &expired).await;
    house.wait_secs(60);
    assert_eq!(outcome(&page.press(&phone).send().await), "expired");

    let gone = desk.mint("").await;
    let page = phone.asked("/foreign-refuse", &gone).await;
    desk.get("/logout").send().await;
    let refused = page.press(&phone).send().await;
    assert_eq!(refused.status, 410);
}

#[tokio::test]
async fn nobody_is_asked_about_a_token_that_leads_nowhere() {
    let house = house().await;
    let desk = house.visitor();
    let used = desk.mint("").await;
    desk.follow("/whoami", &used).await;
    let elsewhere = desk.mint("for=Probe.other").await;
    let unknown = "0".repeat(32);
    for (token, expected) in [
        (used.as_str(), "used"),
        (&elsewhere, "wrongHandler"),
        (&unknown, "unknown"),
        ("nonsense", "unknown"),
    ] {
        let answer = house.visitor().follow("/always", token).await;
        assert_eq!((answer.status, outcome(&answer)), (200, expected));
    }
    let twice = format!("/always?$4DSID={unknown}&$4DSID={elsewhere}");
    assert_eq!(house.visitor().get(&twice).as_browser().send().await.status, 400);
    let nothing = house.visitor().get("/always?a=1").as_browser().send().await;
    assert_eq!(outcome(&nothing), "absent");
}

#[tokio::test]
async fn rows_and_verbs_are_those_of_the_get() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let phone = house.visitor();
    let token = desk.mint("").await;
    let page = phone.asked("/foreign-get", &token).await;
    let posted = phone.post(&with_token("/foreign-get", &token)).as_browser().send().await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET"));
    assert!(restored(&page.press(&phone).send().await, &id));
    // The form of a page says nothing about other addresses.
    let token = desk.mint("").await;
    let page = phone.asked("/foreign", &token).await;
    let elsewhere = page.target().replace("/foreign", "/nowhere");
    let fields = [("token", &*page.token), ("question", &*page.question), ("proof", &*page.proof)];
    assert_eq!(phone.post(&elsewhere).form(&fields).send().await.status, 404);
    assert!(is_unspent(&house, 1).await);
    // What a row requires is looked at after the redemption.
    let page = phone.asked("/foreign-admin", &token).await;
    assert_eq!(page.press(&phone).send().await.status, 401);
    desk.get("/login?privileges=admin&user=Ann").send().await;
    let token = desk.mint("").await;
    let stranger = house.visitor();
    let back = stranger.asked("/foreign-admin", &token).await.press(&stranger).send().await;
    assert_eq!((back.status, &back.json()["user"]), (200, &json!("Ann")));
}

#[tokio::test]
async fn a_rows_own_parameter_is_asked_about_too_and_strip_takes_the_token_away() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let token = desk.mint("").await;
    let target = format!("/foreign-state?code=7&state={token}&x");
    let phone = house.visitor();
    let page = page_of(&phone, &target).await;
    assert_eq!((&*page.query, &page.token), ("code=7&x&$4DCONFIRM=1", &format!("state={token}")));
    assert!(restored(&page.press(&phone).send().await, &id));

    let token = desk.mint("").await;
    let target = format!("/foreign-strip?a=%20b&$4DSID={token}&c");
    let stranger = house.visitor();
    let answer = page_of(&stranger, &target).await.press(&stranger).send().await;
    assert_eq!((answer.status, answer.header("location")), (303, "/foreign-strip?a=%20b&c"));
    assert_eq!(stranger.id().await, id);
}

async fn page_of(visitor: &Visitor, target: &str) -> Asked {
    Asked::read(target, &visitor.get(target).as_browser().send().await)
}

#[tokio::test]
async fn a_redirection_never_sends_the_form_on() {
    let house = house().await;
    let desk = house.visitor();
    for (status, location, expected) in [
        (307, "/here?x=1", 303),
        (308, "/here", 303),
        (302, "/here", 303),
        (307, "https://idp.example/a?b='", 200),
        (303, "//idp.example/", 200),
        (200, "https://idp.example/", 200),
    ] {
        let token = desk.mint("").await;
        let phone = house.visitor();
        let path = format!("/foreign-say?status={status}&header=location&value={location}");
        let answer = phone.asked(&path, &token).await.press(&phone).send().await;
        assert_eq!(answer.status, expected, "{status} {location}");
        if expected == 303 {
            assert_eq!(answer.header("location"), location);
        } else if status != 200 {
            assert_eq!(answer.header("location"), "", "{location}");
            let shown = location.replace('\'', "&#39;");
            assert!(answer.text().contains(&format!("url={shown}\"")), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_mount_prefix_is_part_of_where_the_page_leads() {
    let base_path = BasePath::parse("/tools").unwrap();
    let house = House::on(fresh().await, Settings { base_path, ..settings() }).await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let mint = async |visitor: &Visitor| {
        let token = visitor.get("/tools/mint").send().await.text();
        house.ledger.add(&token);
        token
    };
    let token = mint(&desk).await;
    let back = phone.asked("/tools/foreign", &token).await.press(&phone).send().await;
    assert_eq!(outcome(&back), "restored");
    phone.get("/tools/login?privileges=admin&keep").send().await;
    let page = phone.asked("/tools/share", &mint(&house.visitor()).await).await;
    assert!(page.text.contains("<a href=\"/tools/\">"), "{}", page.text);
}

#[tokio::test]
async fn an_attacker_cannot_move_a_guest_into_his_session_and_ride_along() {
    for path in ["/foreign-share", "/foreign-transfer"] {
        let house = house().await;
        let (attacker, id) = member(&house).await;
        let (link, spare) = (attacker.mint("").await, attacker.mint("").await);
        let victim = house.visitor();
        let page = victim.asked(path, &link).await;
        assert_ne!(victim.id().await, id, "opening the link moved the victim");
        assert!(restored(&page.press(&victim).send().await, &id));
        victim.get("/login?privileges=admin&user=Ann").send().await;
        assert_eq!(victim.session().await["user"], json!("Ann"));
        assert_eq!(
            (attacker.session().await["guest"].clone(), attacker.id().await == id),
            (json!(true), false)
        );
        let refused = house.visitor().follow("/whoami", &spare).await;
        assert_ne!(outcome(&refused), "restored", "{path}");
    }
}

#[tokio::test]
async fn who_is_signed_in_is_asked_before_he_is_moved_whatever_the_row_says() {
    let house = house().await;
    let (attacker, id) = member(&house).await;
    for path in ["/whoami", "/share", "/transfer", "/foreign", "/strip", "/state"] {
        let victim = house.visitor();
        victim.get("/login?privileges=admin&user=Ann%20%3Cb%3E").send().await;
        let (own, cookie) = (victim.id().await, victim.cookie());
        let link = attacker.mint("").await;
        let page = victim.asked(path, &link).await;
        assert_eq!(page.question, "switch", "{path}");
        assert!(page.text.contains("Ann &lt;b&gt;"), "{}", page.text);
        assert!(page.text.contains("<a href=\"/\">"), "{}", page.text);
        assert_eq!((victim.id().await, victim.cookie()), (own.clone(), cookie.clone()));
        assert!(is_unspent(&house, 1).await, "{path}");
        // Another verb is another matter (docs/CONTRACT.md §6.4), and so is a click.
        let moved = page.press(&victim).send().await;
        assert!(matches!(moved.status, 200 | 303), "{path}");
        assert_eq!(victim.id().await, id, "{path}");
        let tab = house.visitor();
        tab.plant(&cookie.unwrap());
        assert_eq!(tab.id().await, own, "the session he left lives on");
        if path == "/transfer" {
            assert_ne!(attacker.id().await, id, "a transfer leaves the sender outside");
            break;
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_moved() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let signed_in = house.visitor();
    signed_in.get("/login?privileges=admin&user=Ann").send().await;
    let own = signed_in.id().await;
    // A token of the session he is in, and one that gives no cookie.
    let back = signed_in.follow("/whoami", &signed_in.mint("").await).await;
    assert!(restored(&back, &own));
    for (path, wish) in [("/context", ""), ("/whoami", "mode=context")] {
        let there = signed_in.follow(path, &desk.mint(wish).await).await;
        assert!(restored(&there, &id), "{path}");
        assert_eq!(signed_in.id().await, own);
    }
    // A program that brings his cookie is given none in `auto`.
    assert!(restored(&signed_in.call_back("/whoami", &desk.mint("").await).await, &id));
    // A guest is moved without being asked where the row does not ask.
    let guest = house.visitor();
    guest.write("mine", "1").await;
    assert!(restored(&guest.follow("/whoami", &desk.mint("").await).await, &id));
}

#[tokio::test]
async fn a_click_on_the_plain_question_moves_nobody_who_is_signed_in() {
    let house = house().await;
    let (desk, id) = member(&house).await;
    let token = desk.mint("").await;
    let victim = house.visitor();
    let page = victim.asked("/foreign", &token).await;
    assert_eq!(page.question, "click");
    // As with a Strict cookie, which stays behind when the link is opened from a mail.
    victim.get("/login?privileges=admin").send().await;
    let own = victim.id().await;
    let answer = page.press(&victim).send().await;
    let second = Asked::read(&with_token("/foreign", &token), &answer);
    assert_eq!(second.question, "switch");
    assert!(second.text.contains("You are signed in to callgate. "), "{}", second.text);
    assert_eq!((victim.id().await, is_unspent(&house, 1).await), (own, true));
    assert!(restored(&second.press(&victim).send().await, &id));
}

#[tokio::test]
async fn a_handler_cannot_give_away_cookies_of_ours() {
    let house = house().await;
    for name in ["4DSID_callgate", "4DBIND_callgate", "4DCONF", " 4DCONF "] {
        let target = format!("/say?header=set-cookie&value={name}%3Dplanted");
        let visitor = house.visitor();
        visitor.get("/whoami").send().await;
        let answer = visitor.get(&target.replace(' ', "%20")).send().await;
        assert!(answer.headers.get("set-cookie").is_none(), "{name}");
    }
}

#[tokio::test]
async fn the_owners_page_is_shown_in_place_of_the_shipped_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ask.html");
    let page = "<style>h1{}</style><h1>Moon shop, {{app}}, {{lang}}</h1>{{text}}{{form}}";
    std::fs::write(&file, page).unwrap();
    let house =
        House::on(fresh().await, Settings { confirm_page: Some(file.clone()), ..settings() }).await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let asked = phone.asked("/foreign", &desk.mint("").await).await;
    assert!(asked.text.contains("<h1>Moon shop, callgate, en</h1>"), "{}", asked.text);
    assert_eq!(outcome(&asked.press(&phone).send().await), "restored");

    std::fs::write(&file, "<h1>{{form}}</h1>").unwrap();
    let refused = callgate::Gate::builder(Settings { confirm_page: Some(file), ..settings() })
        .table("[]")
        .open()
        .await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.ends_with("ask.html: error: {{text}} stands in it 0 times; write it exactly once")
    );
}
