//! The main job: a callback restores the session that started it, exactly once.

use std::sync::Arc;

use callgate::Settings;
use callgate::session::Lifetime;
use callgate::settings::AppName;
use callgate::settings::PublicOrigin;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::memory::MemoryStore;
use callgate::store::port::OperationKind;
use callgate::table::BasePath;
use serde_json::json;

use crate::support::House;
use crate::support::TOKEN_KEY;
use crate::support::house;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::soon;

#[tokio::test]
async fn a_callback_restores_the_session_that_started_it() {
    let house = house().await;
    let shopper = house.visitor();
    let id = shopper.write("cart", "3").await;
    let token = shopper.mint("").await;

    let phone = house.visitor();
    let back = phone.follow("/whoami", &token).await;
    assert_eq!((back.status, outcome(&back)), (200, "restored"));
    assert_eq!((&back.json()["id"], &back.json()["storage"]), (&json!(id), &json!({"cart": "3"})));
    assert_eq!(phone.id().await, id);
    assert_eq!(shopper.id().await, id);
    assert_ne!(phone.cookie(), shopper.cookie());
}

#[tokio::test]
async fn privileges_come_back_before_the_handler_runs() {
    let house = house().await;
    let boss = house.visitor();
    boss.get("/login?privileges=admin&user=Ann").send().await;
    let token = boss.mint("").await;
    let back = house.visitor().follow("/admin", &token).await;
    assert_eq!((back.status, &back.json()["user"]), (200, &json!("Ann")));
    assert_eq!(back.json()["privileges"], json!(["admin"]));
}

#[tokio::test]
async fn a_token_in_lower_case_is_the_same_token() {
    let house = house().await;
    let token = house.visitor().mint("").await.to_lowercase();
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_rows_own_parameter_brings_a_token_in_the_query_or_in_a_form() {
    let house = house().await;
    let shopper = house.visitor();
    let in_query = shopper.mint("").await;
    let answer = house.visitor().get(&format!("/state?code=7&state={in_query}")).send().await;
    assert_eq!(outcome(&answer), "restored");

    let in_form = shopper.mint("").await;
    let fields = [("code", "7"), ("state", in_form.as_str())];
    let answer = house.visitor().post("/state").form(&fields).send().await;
    assert_eq!(outcome(&answer), "restored");

    let reserved = shopper.mint("").await;
    assert_eq!(outcome(&house.visitor().follow("/state", &reserved).await), "restored");

    let elsewhere = shopper.mint("").await;
    let target = format!("/whoami?state={elsewhere}");
    let answer = house.visitor().get(&target).no_token_here().send().await;
    assert_eq!(outcome(&answer), "absent");
    let stranger = house.visitor();
    let answer = stranger.post("/whoami").form(&[("state", &elsewhere)]).no_token_here();
    assert_eq!(outcome(&answer.send().await), "absent");
}

#[tokio::test]
async fn a_handler_restores_by_hand() {
    let house = house().await;
    let shopper = house.visitor();
    let id = shopper.write("cart", "3").await;
    let token = shopper.mint("").await;
    let phone = house.visitor();
    let target = format!("/restore?token={token}");
    let answer = phone.get(&target).as_browser().send().await;
    assert_eq!(answer.json(), json!({ "restored": true, "id": id, "storage": { "cart": "3" } }));
    assert_eq!(outcome(&answer), "restored");
    assert_eq!(phone.id().await, id);

    let again = house.visitor().get(&target).as_browser().send().await;
    assert_eq!((again.json()["restored"].clone(), outcome(&again)), (json!(false), "used"));
    for nonsense in ["", "hello", &"0".repeat(32)] {
        let answer = phone.get(&format!("/restore?token={nonsense}")).send().await;
        assert_eq!(
            (answer.json()["restored"].clone(), outcome(&answer)),
            (json!(false), "unknown")
        );
        assert_eq!(answer.json()["id"], json!(id), "a failed restore leaves the session alone");
    }
}

#[tokio::test]
async fn a_second_use_is_told_when_the_first_was() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    house.wait_secs(5);
    house.visitor().follow("/whoami", &token).await;
    house.wait_secs(60);
    for _ in 0..3 {
        let again = house.visitor().follow("/whoami", &token).await;
        assert_eq!((again.status, outcome(&again)), (200, "used"));
        assert_eq!(again.header("x-used-at"), "2026-01-01T00:00:05.000Z");
        assert_eq!(again.json()["guest"], json!(true));
    }
}

#[tokio::test]
async fn many_callbacks_at_once_have_one_winner() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (visitor, token) = (house.visitor(), token.clone());
        calls.spawn(async move { outcome(&visitor.follow("/whoami", &token).await).to_owned() });
    }
    let outcomes = calls.join_all().await;
    let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count("restored"), count("used")), (1, 63));
}

#[tokio::test]
async fn a_token_lives_to_the_millisecond() {
    for (wish, secs) in [("", 3_600), ("lifespan=3", 10), ("lifespan=120", 120)] {
        let house = house().await;
        let shopper = house.visitor();
        let (late, in_time) = (shopper.mint(wish).await, shopper.mint(wish).await);
        house.clock.advance(std::time::Duration::from_millis(secs * 1_000 - 1));
        // Somebody who is still there, so that only the token can be over.
        shopper.session().await;
        assert_eq!(outcome(&house.visitor().follow("/whoami", &in_time).await), "restored");
        house.clock.advance(std::time::Duration::from_millis(1));
        let answer = house.visitor().follow("/whoami", &late).await;
        assert_eq!((answer.status, outcome(&answer)), (200, "expired"), "{wish}");
    }
}

#[tokio::test]
async fn a_token_of_a_session_that_ended_is_refused() {
    let house = house().await;
    let shopper = house.visitor();
    let token = shopper.mint("").await;
    shopper.get("/logout").send().await;
    let answer = house.visitor().follow("/whoami", &token).await;
    assert_eq!((answer.status, answer.json()["guest"].clone()), (200, json!(true)));
    assert!(["sessionGone", "unknown"].contains(&outcome(&answer)), "{}", outcome(&answer));

    let lifetime = Lifetime { absolute_minutes: Some(60), ..Lifetime::default() };
    let house = House::open(Settings { lifetime, ..settings() }).await;
    let sleeper = house.visitor();
    let token = sleeper.mint("lifespan=7200").await;
    house.wait_secs(3_600);
    let answer = house.visitor().follow("/whoami", &token).await;
    assert_eq!(outcome(&answer), "sessionGone");
}

#[tokio::test]
async fn a_link_lives_as_long_as_its_lifespan_though_nobody_uses_the_session() {
    let house = house().await;
    let shopper = house.visitor();
    let id = shopper.write("cart", "3").await;
    let token = shopper.mint("lifespan=86400").await;
    house.wait_secs(125 * 60);
    let answer = house.visitor().follow("/whoami", &token).await;
    assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
}

#[tokio::test]
async fn what_is_no_token_is_unknown() {
    let house = house().await;
    for text in ["", "hello", &"0".repeat(31), &"0".repeat(32), &"0".repeat(33), "%00"] {
        let answer = house.visitor().follow("/whoami", text).await;
        assert_eq!((answer.status, outcome(&answer)), (200, "unknown"), "{text:?}");
    }
}

#[tokio::test]
async fn a_token_for_one_handler_is_not_consumed_by_another() {
    let house = house().await;
    let shopper = house.visitor();
    let id = shopper.write("a", "1").await;
    let token = shopper.mint("for=Probe.other").await;
    for _ in 0..3 {
        let wrong = house.visitor().follow("/whoami", &token).await;
        assert_eq!((wrong.status, outcome(&wrong)), (200, "wrongHandler"));
        assert_ne!(wrong.json()["id"], json!(id));
    }
    let by_hand = house.visitor().get(&format!("/restore?token={token}")).send().await;
    assert_eq!(outcome(&by_hand), "wrongHandler");
    let right = house.visitor().follow("/other", &token).await;
    assert_eq!((outcome(&right), &right.json()["id"]), ("restored", &json!(id)));

    let listed = shopper.mint("for=Probe.echo,Probe.whoami").await;
    assert_eq!(outcome(&house.visitor().follow("/other", &listed).await), "wrongHandler");
    assert_eq!(outcome(&house.visitor().follow("/whoami", &listed).await), "restored");
}

#[tokio::test]
async fn a_token_of_another_application_is_unknown() {
    let store = Arc::new(MemoryStore::new());
    let of = |app: &str| Settings { app: AppName::parse(app).unwrap(), ..settings() };
    let shop = House::on(store.clone(), of("shop")).await;
    let bank = House::on(store, of("bank")).await;
    let token = shop.visitor().mint("").await;
    assert_eq!(
        outcome(&bank.visitor().get(&with_token("/whoami", &token)).send().await),
        "unknown"
    );
    assert_eq!(outcome(&shop.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_that_races_a_logout_never_leaves_a_live_session() {
    let house = house().await;
    for _ in 0..100 {
        let (member, phone) = (house.visitor(), house.visitor());
        let id = member.write("a", "1").await;
        let token = member.mint("").await;
        let leaving = tokio::spawn({
            let member = member.clone();
            async move { member.get("/logout").send().await.status }
        });
        let target = with_token("/write?key=b&value=2", &token);
        let coming = phone.get(&target).as_browser().send().await;
        assert_eq!((leaving.await.unwrap(), coming.status), (200, 200));
        assert_ne!(phone.id().await, id);
        assert!(house.stored().await.iter().all(|opened| opened.record.id.to_string() != id));
    }
}

#[tokio::test]
async fn several_tokens_in_one_request_are_refused_and_none_is_consumed() {
    let house = house().await;
    let shopper = house.visitor();
    let (one, two) = (shopper.mint("").await, shopper.mint("").await);
    let queries = [
        format!("/whoami?{TOKEN_KEY}={one}&{TOKEN_KEY}={two}"),
        format!("/whoami?{TOKEN_KEY}={one}&%244DSID={two}"),
        format!("/state?{TOKEN_KEY}={one}&state={two}"),
        format!("/state?state={one}&state={two}"),
        format!("/whoami?{TOKEN_KEY}={one}&{TOKEN_KEY}="),
    ];
    for target in queries {
        for method in ["GET", "POST", "HEAD"] {
            let answer = house.visitor().call(method, &target).as_browser().send().await;
            assert_eq!(answer.status, 400, "{method} {target}");
            assert!(answer.headers.get("set-cookie").is_none());
        }
    }
    let in_both = house.visitor().post(&with_token("/state", &one)).form(&[("state", &two)]);
    assert_eq!(in_both.send().await.status, 400);
    assert_eq!(house.probe.runs(), 0);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &one).await), "restored");
    assert_eq!(outcome(&house.visitor().follow("/whoami", &two).await), "restored");
}

#[tokio::test]
async fn whoever_only_looks_consumes_nothing() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    for path in ["/whoami", "/restore?token=T"] {
        let target = match path.strip_suffix('T') {
            Some(start) => format!("{start}{token}"),
            None => with_token(path, &token),
        };
        for method in ["HEAD", "OPTIONS"] {
            let answer = house.visitor().call(method, &target).as_browser().send().await;
            assert_eq!((answer.status, outcome(&answer)), (200, "absent"), "{method} {target}");
        }
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            let answer = house.visitor().get(&target).as_browser().header(name, value).send().await;
            // What a handler itself restores, callgate cannot know beforehand.
            let expected = if path == "/whoami" { (503, "") } else { (200, "absent") };
            assert_eq!((answer.status, outcome(&answer)), expected, "{name}: {value}");
        }
    }
    assert_eq!(house.unspent().await.len(), 1);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_request_that_is_refused_before_its_row_runs_consumes_nothing() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    let visitor = house.visitor();
    let at = |path: &str| with_token(path, &token);
    let many = format!("/whoami?{}", "a=1&".repeat(101));
    let refused = [
        (visitor.get(&at("/nowhere")), 404),
        (visitor.get(&at("/whoami/%2e%2e/admin")), 400),
        (visitor.get(&at("/a%2Fb")), 400),
        (visitor.get(&at("/rest/$entityset")), 404),
        (visitor.get(&at("/4DACTION/whoami")), 404),
        (visitor.post(&at("/get-only")), 405),
        (visitor.call("OPTIONS", &at("/get-only")), 204),
        (visitor.call("TRACE", &at("/whoami")), 501),
        (visitor.get(&at("/no-class")), 500),
        (visitor.get(&at("/no-method")), 500),
        (visitor.post(&at("/small")).body("eleven chars"), 413),
        (visitor.post(&at("/whoami")).header("content-encoding", "br").body("x"), 415),
        (visitor.get(&at(&many)), 400),
        (visitor.get(&at(&format!("/whoami?long={}", "a".repeat(9_000)))), 414),
        (visitor.get(&at("/whoami")).header("host", "one.test").header("host", "two.test"), 400),
        (visitor.get(&at("/whoami")).header("host", "us@er"), 400),
        (visitor.get(&at("/whoami")).header("early-data", "1"), 425),
        (visitor.get(&at("/whoami")).header("x-long", &"a".repeat(8_193)), 431),
    ];
    for (ask, status) in refused {
        let answer = ask.send().await;
        assert_eq!(answer.status, status);
        assert!(answer.headers.get("set-cookie").is_none(), "{status} gives nobody a cookie");
    }
    assert_eq!(outcome(&visitor.follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn what_a_row_requires_is_looked_at_after_the_redemption() {
    let house = house().await;
    let (nobody, member, boss) = (house.visitor(), house.visitor(), house.visitor());
    member.get("/login?privileges=view").send().await;
    boss.get("/login?privileges=admin").send().await;
    assert_eq!(nobody.get("/admin").send().await.status, 401);
    assert_eq!(member.get("/admin").send().await.status, 403);
    assert_eq!(boss.get("/admin").send().await.status, 200);

    let token = boss.mint("").await;
    assert_eq!(house.visitor().follow("/admin", &token).await.status, 200);
    let token = member.mint("").await;
    let visitor = house.visitor();
    assert_eq!(visitor.follow("/admin", &token).await.status, 403);
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "used");
    assert_eq!(visitor.id().await, member.id().await, "a redemption that was refused later counts");
}

#[tokio::test]
async fn a_session_holds_sixteen_unspent_tokens() {
    let house = house().await;
    let shopper = house.visitor();
    let first = shopper.mint("").await;
    for _ in 1..16 {
        shopper.mint("").await;
    }
    let refused = shopper.get("/mint").send().await;
    assert_eq!((refused.status, house.unspent().await.len()), (500, 16));
    house.visitor().follow("/whoami", &first).await;
    shopper.mint("").await;
    assert_eq!(shopper.get("/mint").send().await.status, 500);
    assert_eq!(house.visitor().get("/mint").send().await.status, 200, "others are not affected");
}

#[tokio::test]
async fn a_callback_url_is_made_of_settings_and_never_of_the_request() {
    let settings = Settings {
        public_origin: Some(PublicOrigin::parse("https://shop.example").unwrap()),
        base_path: BasePath::parse("/tools").unwrap(),
        ..settings()
    };
    let house = House::open(settings).await;
    let shopper = house.visitor();
    for (path, start) in [
        ("/whoami", "https://shop.example/tools/whoami?%244DSID="),
        ("/whoami%3Fa=1", "https://shop.example/tools/whoami?a=1&%244DSID="),
    ] {
        let answer = shopper
            .get(&format!("/tools/url?path={path}"))
            .header("x-forwarded-host", "evil.example")
            .header("forwarded", "host=evil.example;proto=http")
            .send()
            .await;
        let url = answer.text();
        let token = url.strip_prefix(start).unwrap_or_else(|| panic!("{url}"));
        assert_eq!(token.len(), 32);
        house.ledger.add(token);
        let target = url.strip_prefix("https://shop.example").unwrap();
        assert_eq!(outcome(&house.visitor().get(target).as_browser().send().await), "restored");
    }
    for path in ["//evil.example", "whoami", "/%5Cevil", "/a%23b", "/a%20b", "https://evil.example"]
    {
        let answer = shopper.get(&format!("/tools/url?path={path}")).send().await;
        assert_eq!(answer.status, 500, "{path}");
    }
}

#[tokio::test]
async fn without_a_public_origin_there_is_no_callback_url() {
    let house = house().await;
    let answer = house.visitor().get("/url?path=/whoami").send().await;
    assert_eq!((answer.status, house.unspent().await.len()), (500, 0));
}

#[tokio::test]
async fn a_store_that_is_down_is_never_taken_for_a_guest() {
    let house = house().await;
    let shopper = house.visitor();
    let token = shopper.mint("").await;
    let (member, stranger) = (house.visitor(), house.visitor());
    let own = member.write("a", "1").await;
    let (cookie, runs) = (member.cookie(), house.probe.runs());
    for verbs in [
        &[OperationKind::Redeem][..],
        &[OperationKind::Resume],
        &[OperationKind::Redeem, OperationKind::Resume],
    ] {
        house.cut_off(verbs);
        for visitor in [&member, &stranger] {
            if verbs == [OperationKind::Resume] && visitor.cookie().is_none() {
                continue;
            }
            let answer = visitor.follow("/whoami", &token).await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.header("retry-after"), "2");
            assert!(answer.headers.get("set-cookie").is_none());
        }
        house.store.heal();
    }
    assert_eq!((member.cookie(), house.probe.runs()), (cookie, runs));
    assert_eq!(member.id().await, own);
    assert_eq!(outcome(&stranger.follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_reply_that_is_lost_once_is_asked_for_again_and_grants_once() {
    let house = house().await;
    let shopper = house.visitor();
    let id = shopper.write("a", "1").await;
    let token = shopper.mint("").await;
    house.store.lose(OperationKind::Redeem, Lose::Reply, When::Next(1));
    let answer = house.visitor().follow("/whoami", &token).await;
    assert_eq!((outcome(&answer), &answer.json()["id"]), ("restored", &json!(id)));
    assert_eq!(outcome(&house.visitor().follow("/whoami", &token).await), "used");
}

#[tokio::test]
async fn an_outcome_nobody_knows_is_a_503_and_counts_as_spent() {
    let house = house().await;
    let token = house.visitor().mint("").await;
    house.store.lose(OperationKind::Redeem, Lose::Reply, When::Next(2));
    let visitor = house.visitor();
    assert_eq!(visitor.follow("/whoami", &token).await.status, 503);
    assert_eq!((visitor.cookie(), house.probe.runs()), (None, 0));
    assert_eq!(outcome(&visitor.follow("/whoami", &token).await), "used");
}

#[tokio::test]
async fn a_mint_that_the_store_did_not_keep_gives_no_token() {
    let house = house().await;
    let shopper = house.visitor();
    shopper.write("a", "1").await;
    house.cut_off(&[OperationKind::Mint, OperationKind::Create]);
    assert_eq!(shopper.get("/mint").send().await.status, 503);
    assert_eq!(house.visitor().get("/mint").send().await.status, 503);
    house.store.heal();
    assert_eq!(house.unspent().await.len(), 0);
}

#[tokio::test]
async fn the_callback_arrives_while_the_request_that_minted_still_runs() {
    let house = house().await;
    let (shopper, phone) = (house.visitor(), house.visitor());
    let waiting = tokio::spawn({
        let shopper = shopper.clone();
        async move { shopper.get("/errand").send().await.json() }
    });
    house.probe.arrival().await;
    let token = house.probe.minted().clone();
    house.ledger.add(&token);
    let target = with_token("/write?key=answer&value=yes", &token);
    assert_eq!(phone.get(&target).send().await.status, 200);
    assert_eq!(soon(waiting).await.unwrap(), json!({ "result": "yes" }));
    let storage = &shopper.session().await["storage"];
    assert_eq!(storage, &json!({ "step": "waiting", "answer": "yes" }));
}

#[tokio::test]
async fn a_mint_publishes_what_was_written_before_it() {
    let house = house().await;
    let token = house.visitor().mint("value=marker").await;
    let back = house.visitor().follow("/whoami", &token).await;
    assert_eq!(back.json()["storage"], json!({ "minted": "marker" }));
}
