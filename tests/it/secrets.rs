//! No token, cookie value or key in any log line, whatever happens.

use callgate::Settings;
use callgate::base::secret::SecretText;
use callgate::store::port::OperationKind;

use crate::support::House;
use crate::support::log::Log;
use crate::support::settings;
use crate::support::visitor::with_token;

const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";

/// One of everything that can happen to a token and a cookie.
async fn live_through_everything(house: &House) {
    let (member, phone) = (house.visitor(), house.visitor());
    member.write("cart", "3").await;
    for path in ["/whoami", "/transfer", "/strip", "/refuse", "/share-fail", "/share-panic"] {
        let token = member.mint("").await;
        member.follow(path, &token).await;
        phone.follow(path, &token).await;
    }
    let token = member.mint("").await;
    for target in [format!("/nowhere/{token}"), with_token("/nowhere", &token)] {
        phone.get(&target).header("referer", &target).no_token_here().send_unchecked().await;
    }
    phone.get(&format!("/fail?state={token}")).no_token_here().send().await;
    phone.get(&format!("/restore?token={token}")).send().await;
    phone.get(&format!("{}&$4DSID={token}", with_token("/whoami", &token))).send().await;
    phone.post("/state").form(&[("state", &token)]).send().await;
    member.get("/login?privileges=admin").send().await;
    let cookie = member.cookie().unwrap();
    let other = house.visitor();
    other.write("a", "1").await;
    phone.plant(&format!("{cookie}; 4DSID_callgate={}", other.cookie().unwrap()));
    phone.session().await;
    phone.plant(&format!("{}x", &cookie[1..]));
    phone.session().await;
    let last = member.mint("").await;
    house.cut_off(&[OperationKind::Redeem, OperationKind::Mint, OperationKind::Patch]);
    member.follow("/whoami", &last).await;
    member.get("/mint").send().await;
    house.store.heal();
    member.get("/logout").send().await;
}

#[tokio::test]
async fn no_log_line_tells_a_secret() {
    let (log, capture) = Log::capture();
    let keys = vec![SecretText::new(KEY.to_owned())];
    let house = House::open(Settings { keys, ..settings() }).await;
    live_through_everything(&house).await;
    drop(capture);

    let text = log.text();
    for event in ["token.minted", "token.redeemed", "token.replay", "session.cookie_doubled"] {
        assert!(text.contains(event), "{event} was not logged: {text}");
    }
    assert!(text.contains("\"/nowhere/*\""), "a token in a path is hidden: {text}");
    assert!(text.contains("the request was lost"), "the log knows what the client must not");
    for line in text.lines() {
        assert!(!house.ledger.is_told_in(line) && !line.contains(&KEY[..12]), "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn nothing_that_is_printed_for_debugging_tells_a_secret() {
    let keys = vec![SecretText::new(KEY.to_owned())];
    let settings = Settings { keys, ..settings() };
    let printed = format!("{settings:?}");
    let house = House::open(settings).await;
    let member = house.visitor();
    member.mint("").await;
    let answer = member.get("/login?privileges=admin").send().await;
    let seen = format!("{printed} {:?} {answer:?} {:?}", house.gate, house.stored().await);
    assert!(!house.ledger.is_told_in(&seen) && !seen.contains(&KEY[..12]), "{seen}");
}
