//! Callbacks that come again on rows with `repeat`: one run, and its answer for all
//! (docs/CONTRACT.md §6.5).

use std::sync::Arc;
use std::time::Duration;

use callgate::base::ClaimId;
use callgate::base::Clock;
use callgate::base::limits::CLOCKS_APART_MAX;
use callgate::base::limits::RUN_LEASE;
use callgate::gate::Answer;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::Claim;
use callgate::store::port::Conclusion;
use callgate::store::port::Ending;
use callgate::store::port::OperationKind;
use callgate::store::port::Redeemed;
use callgate::store::port::Store;
use callgate::token;
use callgate::token::Callback;
use callgate::token::ReplayKey;
use callgate::token::ReplayOptions;
use callgate::token::TokenSecret;
use hyper::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;

use super::house;
use crate::stores::kit;
use crate::support::House;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::reopened;
use crate::support::settings;
use crate::support::visitor::with_token;

/// When a run counts as cut off that nobody has renewed, whatever the store.
const OVER: Duration = RUN_LEASE.saturating_add(CLOCKS_APART_MAX);

/// A house, and a token of a session in it.
async fn ready() -> (House, String) {
    let house = house().await;
    let token = house.visitor().mint("").await;
    (house, token)
}

/// The fields that the handler's own answer consists of, without those of each request.
fn own_fields(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    headers.remove("set-cookie");
    headers
}

/// Sees that an answer is the very answer of an earlier run.
#[track_caller]
fn is_the_same(again: &Answer, first: &Answer) {
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(own_fields(again), own_fields(first));
    assert!(again.headers.get("set-cookie").is_none(), "cookies are for whoever came first");
}

/// Sees that a repeat is told this.
#[track_caller]
fn is_told(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some(code)));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_no_second_run() {
    let (house, token) = ready().await;
    let first = house.visitor().post(&with_token("/pay", &token)).body("a=1").send().await;
    assert_eq!((first.status, outcome(&first), house.probe.runs()), (201, "restored", 1));
    assert_eq!(first.headers.get_all("set-cookie").iter().count(), 2);
    house.wait_secs(7_199);
    for target in [
        with_token("/pay", &token),
        format!("/pay?&%244DSID={token}."),
        format!("/pay?%244dsid={token}&"),
    ] {
        let again = house.visitor().post(&target).body("a=1").send().await;
        is_the_same(&again, &first);
        assert_eq!(again.header("referrer-policy"), "no-referrer");
        assert_eq!(again.header("cache-control"), "no-store");
    }
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_browser_that_repeats_gets_no_cookie_of_callgate() {
    let (house, token) = ready().await;
    let first = house.visitor();
    let answer = first.follow("/pay-share", &token).await;
    assert!(first.cookie().is_some());
    first.plant_as("basket", "2");
    // The one who came first may come again, and stays in.
    let own = first.cookie();
    let again = first.follow("/pay-share", &token).await;
    assert_eq!((again.status, &again.body), (201, &answer.body));
    assert_eq!((first.cookie(), house.probe.runs()), (own, 1));
    // What the handler gave the browser it has already, and may have changed since.
    assert_eq!(first.find_cookie("basket").as_deref(), Some("2"));
    assert!(again.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn a_kept_answer_is_for_whoever_had_it_first() {
    let (house, token) = ready().await;
    let first = house.visitor();
    let answer = first.follow("/pay-share", &token).await;
    assert_eq!((answer.status, outcome(&answer)), (201, "restored"));
    let (other, program) = (house.visitor(), house.visitor());
    other.write("a", "1").await;
    for _ in 0..2 {
        assert_eq!(outcome(&other.follow("/pay-share", &token).await), "used");
        assert_eq!(outcome(&program.call_back("/pay-share", &token).await), "used");
    }
    let runs = house.probe.runs();
    assert_eq!(first.follow("/pay-share", &token).await.body, answer.body);
    assert_eq!(house.probe.runs(), runs);
    // A platform that called first gets its answer again, and no browser does.
    let token = house.visitor().mint("").await;
    let told = program.call_back("/pay", &token).await;
    assert_eq!(house.visitor().call_back("/pay", &token).await.body, told.body);
    assert_eq!(outcome(&first.follow("/pay", &token).await), "used");
}

#[tokio::test]
async fn another_query_is_another_callback() {
    let (house, token) = ready().await;
    let pay = async |query: &str| {
        let target = format!("/pay?{query}");
        house.visitor().get(&target.replace("{}", &token)).send().await
    };
    let first = pay("order=1&$4DSID={}&name=a%20b").await;
    assert_eq!((first.status, outcome(&first)), (201, "restored"));
    for same in ["order=1&%244dsid={}&name=a%20b", "$4DSID={}&%6Frder=1&&name=a%20b"] {
        is_the_same(&pay(same).await, &first);
    }
    for other in [
        "order=2&$4DSID={}&name=a%20b",
        "$4DSID={}",
        "order=1&$4DSID={}&name=a%20b&x",
        "order=1&$4DSID={}&name=a+b",
        "name=a%20b&$4DSID={}&order=1",
    ] {
        assert_eq!(outcome(&pay(other).await), "used", "{other}");
    }
}

#[tokio::test]
async fn after_the_window_the_token_is_used_like_any_other() {
    let house = house().await;
    // Remembered for longer than its repeats.
    let token = house.visitor().mint("lifespan=86400").await;
    house.visitor().call_back("/pay-refuse", &token).await;
    house.wait_secs(7_199);
    assert_eq!(house.visitor().call_back("/pay-refuse", &token).await.status, 201);
    house.wait_secs(1);
    let late = house.visitor().call_back("/pay-refuse", &token).await;
    assert_eq!((late.status, house.probe.runs()), (403, 1));
}

#[tokio::test]
async fn another_method_or_path_is_no_repeat() {
    let (house, token) = ready().await;
    house.visitor().post(&with_token("/pay-refuse", &token)).send().await;
    let refused = [
        house.visitor().get(&with_token("/pay-refuse", &token)),
        house.visitor().post(&with_token("/pay-refuse/more", &token)),
        house.visitor().call("PUT", &with_token("/pay-refuse", &token)),
    ];
    for ask in refused {
        let answer = ask.send().await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("token_refused")));
    }
    // A path that reads the same is the same.
    let again = house.visitor().post(&with_token("//pay%2Drefuse/", &token)).send().await;
    assert_eq!(again.json()["code"].as_str(), Some("token_refused"));
    let again = house.visitor().post(&with_token("//pay%2Drefuse", &token)).send().await;
    assert_eq!((again.status, house.probe.runs()), (201, 1));
}

#[tokio::test]
async fn another_body_is_refused_while_it_runs_and_afterwards() {
    let (log, _capture) = Log::capture();
    let (house, token) = ready().await;
    let target = with_token("/pay?wait=1", &token);
    let first = tokio::spawn(house.visitor().post(&target).body("amount=1").send());
    house.probe.arrival().await;
    let forged = || house.visitor().post(&target).body("amount=1000").send();
    is_told(&forged().await, "repeat_differs");
    house.probe.door.add_permits(1);
    assert_eq!(first.await.unwrap().status, 201);
    is_told(&forged().await, "repeat_differs");
    is_told(&house.visitor().post(&target).send().await, "repeat_differs");
    assert_eq!(house.probe.runs(), 1);
    log.has(&["token.repeat_differs"]);
}

#[tokio::test]
async fn a_token_in_a_form_is_part_of_the_body() {
    let (house, token) = ready().await;
    let send = async |amount: &str| {
        let fields = [("state", token.as_str()), ("amount", amount)];
        house.visitor().post("/pay-state").form(&fields).send().await
    };
    let first = send("1").await;
    is_the_same(&send("1").await, &first);
    assert_eq!(send("2").await.json()["code"].as_str(), Some("repeat_differs"));
    assert_eq!(house.probe.runs(), 1);
}

/// Lets every request that was spawned come as far as it can. On one thread, with a store in
/// memory, that is where it waits for another one.
async fn all_wait() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn repeats_wait_for_the_run_that_is_under_way() {
    let (house, token) = ready().await;
    let target = with_token("/pay?wait=1", &token);
    let mut repeats = JoinSet::new();
    for _ in 0..32 {
        repeats.spawn(house.visitor().get(&target).send());
    }
    house.probe.arrival().await;
    all_wait().await;
    assert!(repeats.try_join_next().is_none(), "somebody did not wait");
    house.probe.door.add_permits(32);
    let answers = repeats.join_all().await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(house.probe.runs(), 1);
}

/// Another node that has redeemed the token for the callback `GET path`, and runs its handler.
async fn another_node(house: &House, token: &str, path: &str) -> Claim {
    let secret = TokenSecret::parse(token).unwrap();
    let held = house.unspent().await;
    let held = held.iter().find(|held| held.digest == secret.digest("callgate")).unwrap();
    let wish = ReplayOptions {
        key: ReplayKey::of(
            &secret,
            &Callback { method: "GET", path, query: "", browser: None, body: b"" },
        ),
        window: Duration::from_hours(2),
        lease: RUN_LEASE,
        may_take_over: false,
    };
    let claim = Claim { repeat: Some(wish), ..kit::claim(held) };
    let redeemed = house.store.redeem(house.clock.now(), claim.clone()).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    claim
}

#[tokio::test]
async fn a_repeat_waits_no_longer_than_its_own_timeout() {
    let (house, token) = ready().await;
    another_node(&house, &token, "/pay-hasty").await;
    let told = house.visitor().call_back("/pay-hasty", &token).await;
    is_told(&told, "repeat_running");
    assert_eq!((told.header("retry-after"), house.probe.runs()), ("2", 0));
}

#[tokio::test]
async fn a_repeat_hears_of_an_answer_that_another_node_kept() {
    let (house, token) = ready().await;
    let claim = another_node(&house, &token, "/pay").await;
    let secret = TokenSecret::parse(&token).unwrap();
    let waiting = tokio::spawn(house.visitor().get(&with_token("/pay", &token)).send());
    all_wait().await;
    assert!(!waiting.is_finished(), "it did not wait");
    let answer = token::Answer {
        status: 202,
        headers: vec![("x-node".to_owned(), b"b".to_vec())],
        body: b"from elsewhere".to_vec(),
    };
    let answer = answer
        .seal(&secret, "callgate", &callgate::base::secret::entropy::OsEntropy::new())
        .unwrap();
    let ending = Ending::Answered { answer, right: None };
    let conclusion = Conclusion { token: claim.token, run: claim.id, ending };
    house.store.conclude(house.clock.now(), conclusion).await.unwrap();
    let told = waiting.await.unwrap();
    assert_eq!(
        (told.status, told.text().as_str(), told.header("x-node")),
        (202, "from elsewhere", "b")
    );
    assert_eq!(house.probe.runs(), 0);
}

#[tokio::test]
async fn a_run_whose_node_died_is_interrupted() {
    let (house, token) = ready().await;
    another_node(&house, &token, "/pay").await;
    house.clock.advance(OVER);
    is_told(&house.visitor().call_back("/pay", &token).await, "interrupted");
    is_told(&house.visitor().call_back("/pay", &token).await, "interrupted");
    assert_eq!(house.probe.runs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_the_row_says_so_one_repeat_runs_an_interrupted_callback_again() {
    let (house, token) = ready().await;
    another_node(&house, &token, "/pay-again").await;
    house.clock.advance(OVER);
    let mut repeats = JoinSet::new();
    for _ in 0..16 {
        let heir = house.visitor();
        let target = with_token("/pay-again", &token);
        repeats.spawn(async move { (heir.get(&target).send().await, heir.cookie()) });
    }
    for (answer, cookie) in repeats.join_all().await {
        assert!(answer.text().starts_with("run 1 of "), "{}", answer.text());
        assert_eq!((answer.status, cookie), (201, None));
    }
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_take_over_prolongs_no_repeats() {
    let (house, token) = ready().await;
    another_node(&house, &token, "/pay-again").await;
    house.clock.advance(OVER);
    let first = house.visitor().call_back("/pay-again", &token).await;
    assert_eq!((first.status, outcome(&first)), (201, "restored"));
    house.clock.advance(Duration::from_secs(7_199).saturating_sub(OVER));
    is_the_same(&house.visitor().call_back("/pay-again", &token).await, &first);
    house.wait_secs(1);
    let late = house.visitor().call_back("/pay-again", &token).await;
    assert!(["used", "unknown"].contains(&outcome(&late)), "{}", outcome(&late));
}

/// A clock that leaps, or a process that was stopped for a while: where the handler runs, nobody takes
/// it for dead.
#[tokio::test]
async fn a_run_of_this_process_is_not_cut_off_by_its_clock() {
    for path in ["/pay", "/pay-again"] {
        let (house, token) = ready().await;
        let target = with_token(&format!("{path}?wait=1"), &token);
        let first = tokio::spawn(house.visitor().get(&target).send());
        house.probe.arrival().await;
        house.clock.advance(OVER * 2);
        let again = tokio::spawn(house.visitor().get(&target).send());
        all_wait().await;
        assert!(!again.is_finished(), "it did not wait");
        house.probe.door.add_permits(2);
        let (first, again) = (first.await.unwrap(), again.await.unwrap());
        assert_eq!((first.status, house.probe.runs()), (201, 1));
        is_the_same(&again, &first);
    }
}

#[tokio::test]
async fn a_run_that_a_crash_cut_off_is_interrupted_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let token = {
        let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let house = House::on(store.clone(), settings()).await;
        let token = house.visitor().mint("").await;
        another_node(&house, &token, "/pay-again").await;
        store.close().await.unwrap();
        token
    };
    let store = reopened(folder.path()).await;
    let house = House::on(store.clone(), settings()).await;
    house.ledger.add(&token);
    let first = house.visitor().call_back("/pay-again", &token).await;
    assert_eq!((first.status, outcome(&first)), (201, "restored"));
    store.close().await.unwrap();
    // The answer outlives the process, too.
    let store = reopened(folder.path()).await;
    let house = House::on(store, settings()).await;
    house.ledger.add(&token);
    is_the_same(&house.visitor().call_back("/pay-again", &token).await, &first);
    assert_eq!(house.probe.runs(), 0);
}

#[tokio::test]
async fn a_handler_that_fails_has_answered() {
    for path in ["/pay-fail", "/pay-panic"] {
        let (house, token) = ready().await;
        let first = house.visitor().call_back(path, &token).await;
        assert_eq!(first.status, 500);
        is_the_same(&house.visitor().call_back(path, &token).await, &first);
    }
    let (house, token) = ready().await;
    let hasty = with_token("/pay-hasty?wait=1", &token);
    let slow = house.visitor().get(&hasty).send().await;
    assert_eq!(slow.status, 500);
    is_the_same(&house.visitor().get(&hasty).send().await, &slow);
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_request_that_was_refused_before_its_handler_may_come_again() {
    let house = house().await;
    let boss = house.visitor();
    boss.write("a", "1").await;
    let token = boss.mint("").await;
    for _ in 0..2 {
        let refused = house.visitor().call_back("/pay-admin", &token).await;
        assert_eq!((refused.status, house.probe.runs()), (401, 0));
    }
    boss.get("/login?privileges=admin&keep=1").send().await;
    let first = house.visitor().call_back("/pay-admin", &token).await;
    assert_eq!((first.status, house.probe.runs()), (201, 1));
    is_the_same(&house.visitor().call_back("/pay-admin", &token).await, &first);
}

#[tokio::test]
async fn an_answer_is_not_sent_before_it_is_kept() {
    for lose in [Lose::Request, Lose::Reply] {
        let (house, token) = ready().await;
        house.store.lose(OperationKind::Conclude, lose, When::Next(2));
        let lost = house.visitor().call_back("/pay", &token).await;
        assert_eq!((lost.status, lost.json()["code"].as_str()), (503, Some("store_unavailable")));
        house.store.heal();
        let again = async || house.visitor().call_back("/pay", &token).await;
        if lose == Lose::Reply {
            // The store has it, as it turns out.
            assert_eq!(again().await.status, 201);
        } else {
            house.clock.advance(OVER);
            is_told(&again().await, "interrupted");
        }
        assert_eq!(house.probe.runs(), 1);
    }
}

#[tokio::test]
async fn a_lost_word_of_the_store_is_asked_for_again() {
    for verb in [OperationKind::Redeem, OperationKind::Conclude] {
        for lose in [Lose::Request, Lose::Reply] {
            let (house, token) = ready().await;
            house.store.lose(verb, lose, When::Next(1));
            let first = house.visitor().call_back("/pay", &token).await;
            assert_eq!(first.status, 201, "{lose:?} of {verb:?}");
            is_the_same(&house.visitor().call_back("/pay", &token).await, &first);
            assert_eq!(house.probe.runs(), 1);
        }
    }
}

#[tokio::test]
async fn a_claim_of_which_nobody_heard_leaves_the_run_to_a_repeat() {
    let (log, _capture) = Log::capture();
    let (house, token) = ready().await;
    house.store.lose(OperationKind::Redeem, Lose::Reply, When::Next(2));
    let lost = house.visitor().call_back("/pay", &token).await;
    assert_eq!((lost.status, house.probe.runs()), (503, 0));
    let first = house.visitor().call_back("/pay", &token).await;
    assert_eq!((first.status, house.probe.runs()), (201, 1));
    is_the_same(&house.visitor().call_back("/pay", &token).await, &first);
    log.has(&["token.taken_over"]);
}

/// The browser is known by what the response that it had gave it, or by what it had before.
#[tokio::test]
async fn a_browser_whose_redemption_was_lost_joins_the_session_by_its_retry() {
    for known in [true, false] {
        let house = house().await;
        let (desk, phone) = (house.visitor(), house.visitor());
        let id = desk.write("cart", "3").await;
        let token = desk.mint("").await;
        if known {
            phone.write("a", "1").await;
        }
        house.store.lose(OperationKind::Redeem, Lose::Reply, When::Next(2));
        assert_eq!(phone.follow("/pay-share", &token).await.status, 503);
        let paid = phone.follow("/pay-share", &token).await;
        assert_eq!((paid.status, outcome(&paid), house.probe.runs()), (201, "restored", 1));
        assert_eq!(phone.id().await, id, "known before: {known}");
        let stored = house.stored().await;
        let session = stored.iter().find(|open| open.record.id.to_string() == id).unwrap();
        assert_eq!(session.record.devices.len(), 2);
    }
}

/// What a browser may see of a session ends with its right to it; what a platform was told does not.
#[tokio::test]
async fn a_kept_answer_ends_with_the_right_of_its_browser() {
    for way in ["logout", "endDevice", "login"] {
        let house = house().await;
        let (desk, phone, platform) = (house.visitor(), house.visitor(), house.visitor());
        desk.write("cart", "3").await;
        let [link, delivery] = [desk.mint("").await, desk.mint("").await];
        let page = phone.follow("/pay-share", &link).await;
        let told = platform.call_back("/pay", &delivery).await;
        is_the_same(&phone.follow("/pay-share", &link).await, &page);
        match way {
            "logout" => drop(phone.get("/logout").send().await),
            "login" => drop(desk.get("/login?privileges=boss&user=Ann").send().await),
            _ => {
                let devices = desk.get("/devices").send().await.json()["result"].take();
                let of = |device: &&Value| device["current"] == false;
                let other = devices.as_array().unwrap().iter().find(of).unwrap();
                let target = format!("/endDevice?id={}", other["id"].as_str().unwrap());
                assert_eq!(desk.get(&target).send().await.json()["result"], true);
            }
        }
        let late = phone.follow("/pay-share", &link).await;
        assert_eq!(outcome(&late), "used", "{way}");
        assert_ne!(late.body, page.body, "{way}");
        is_the_same(&platform.call_back("/pay", &delivery).await, &told);
    }
}

#[tokio::test]
async fn a_run_whose_writes_are_lost_is_interrupted() {
    let (house, token) = ready().await;
    house.store.lose(OperationKind::Patch, Lose::Request, When::Next(1));
    let lost = house.visitor().call_back("/pay-again", &token).await;
    assert_eq!((lost.status, house.probe.runs()), (503, 1));
    // Here the row has said that it bears a second run.
    let again = house.visitor().call_back("/pay-again", &token).await;
    assert_eq!((again.status, house.probe.runs()), (201, 2));

    let (house, token) = ready().await;
    house.store.lose(OperationKind::Patch, Lose::Request, When::Next(1));
    assert_eq!(house.visitor().call_back("/pay", &token).await.status, 503);
    is_told(&house.visitor().call_back("/pay", &token).await, "interrupted");
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_long_answer_is_sent_and_not_kept() {
    let (house, token) = ready().await;
    let target = with_token("/pay?bytes=65536", &token);
    let first = house.visitor().get(&target).send().await;
    assert!(first.status == 201 && first.body.len() > 65_536);
    is_told(&house.visitor().get(&target).send().await, "answer_not_kept");
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_handler_that_ends_the_session_is_repeated_all_the_same() {
    let (house, token) = ready().await;
    let target = with_token("/pay?logout=1", &token);
    let first = house.visitor().get(&target).send().await;
    assert_eq!((first.status, house.stored().await.len()), (201, 0));
    house.wait_secs(7_000);
    is_the_same(&house.visitor().get(&target).send().await, &first);
    assert_eq!(house.probe.runs(), 1);
}

#[tokio::test]
async fn a_click_is_repeated_and_looking_takes_no_part() {
    let (house, token) = ready().await;
    let clicker = house.visitor();
    let page = clicker.asked("/pay-always", &token).await;
    let first = page.press(&clicker).send().await;
    assert_eq!((first.status, house.probe.runs()), (201, 1));
    let again = page.press(&clicker).send().await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    // The link itself is the same callback, and has been agreed to.
    assert_eq!(clicker.follow("/pay-always", &token).await.body, first.body);
    assert_eq!(house.probe.runs(), 1);

    let (house, token) = ready().await;
    let target = with_token("/pay", &token);
    let look = house.visitor().call("HEAD", &target).send().await;
    assert_eq!(outcome(&look), "absent");
    assert_eq!(outcome(&house.visitor().call_back("/pay", &token).await), "restored");
    for _ in 0..2 {
        let look = house.visitor().call("HEAD", &target).send().await;
        assert_eq!((look.status, outcome(&look)), (201, "absent"));
    }
}

#[tokio::test]
async fn a_stripped_link_leads_on_again_and_lets_nobody_else_in() {
    let (house, token) = ready().await;
    let (first, second) = (house.visitor(), house.visitor());
    let led = first.follow("/pay-strip?a=1", &token).await;
    assert_eq!((led.status, led.header("location")), (303, "/pay-strip?a=1"));
    let again = first.follow("/pay-strip?a=1", &token).await;
    assert_eq!((again.status, again.header("location")), (303, "/pay-strip?a=1"));
    assert!(first.cookie().is_some() && house.probe.runs() == 0);
    let other = second.follow("/pay-strip?a=1", &token).await;
    assert_eq!((other.status, outcome(&other)), (201, "used"));
    assert_ne!(second.id().await, first.id().await);
}

#[tokio::test]
async fn a_token_that_a_handler_restores_has_no_repeats() {
    let (house, token) = ready().await;
    let target = format!("/pay-restore?token={token}");
    let restored = house.visitor().get(&target).send_unchecked().await;
    assert_eq!(outcome(&restored), "restored");
    let again = house.visitor().get(&target).send_unchecked().await;
    assert_eq!((again.status, outcome(&again)), (200, "used"));
}

#[tokio::test]
async fn a_forged_conclusion_changes_nothing() {
    let (house, token) = ready().await;
    let first = house.visitor().call_back("/pay", &token).await;
    let digest = TokenSecret::parse(&token).unwrap().digest("callgate");
    let run = ClaimId::from_bytes([7; 16]);
    for ending in [Ending::NotStarted, Ending::TooLarge, Ending::Interrupted] {
        let conclusion = Conclusion { token: digest, run, ending };
        house.store.conclude(house.clock.now(), conclusion).await.unwrap();
    }
    is_the_same(&house.visitor().call_back("/pay", &token).await, &first);
}

#[tokio::test]
async fn no_answer_lies_open_in_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
    let house = House::on(store.clone(), settings()).await;
    let shopper = house.visitor();
    let (token, further) = (shopper.mint("").await, shopper.mint("").await);
    let target = with_token(&format!("/pay?token={further}"), &token);
    let first = house.visitor().get(&target).send_unchecked().await;
    assert_eq!(first.header("location"), further);
    store.close().await.unwrap();
    let file = std::fs::read(folder.path().join("callgate.redb")).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    // The run is there; what was answered, and to whom, is not.
    assert!(holds("\"answered\""));
    for secret in [&*further, &*token, "basket=1", "run 1 of"] {
        assert!(!holds(secret), "{secret} lies open in the store");
    }
}

#[tokio::test]
async fn the_settings_bound_what_is_kept() {
    let mut settings = settings();
    settings.capacity.answer_bytes_max = 128 * 1024;
    let now = callgate::base::Timestamp::from_millis(0);
    let store = callgate::gate::open_store(&settings, now).await.unwrap();
    let house = House::on(store, settings).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let token = house.visitor().mint("").await;
        let target = with_token("/pay?bytes=60000", &token);
        assert_eq!(house.visitor().get(&target).send().await.status, 201);
        house.wait_secs(1);
        tokens.push(token);
    }
    let again = async |token: &str| {
        house.visitor().get(&with_token("/pay?bytes=60000", token)).send().await
    };
    is_told(&again(&tokens[0]).await, "answer_not_kept");
    for token in &tokens[1..] {
        assert_eq!(again(token).await.status, 201);
    }
    assert_eq!(house.probe.runs(), 3);
}
