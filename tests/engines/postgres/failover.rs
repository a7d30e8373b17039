//! A standby takes over: tokens of the old primary are granted by nobody who may have forgotten
//! that they were used, and callgate finds the new primary by itself.

use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::store::StoreError;
use callgate::store::postgres;
use callgate::store::postgres::Address;
use callgate::store::shared::OpenErrorKind;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Engine;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::TokenKey;

use crate::services::postgres::Server;
use crate::services::postgres::is_installed;

use super::kit;
use super::kit::digest;
use super::kit::session_id;

/// However busy the machine is.
const SOON: Duration = Duration::from_secs(30);

/// Waits until the standby has what the primary has.
async fn caught_up(primary: &Server, standby: &Server) {
    let written = primary.sql("SELECT pg_current_wal_lsn()");
    let watch = Stopwatch::start();
    let behind = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    while standby.sql(&behind) != "t" {
        assert!(watch.elapsed() < SOON, "the standby does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An address with both servers in it.
fn both(primary: &Server, standby: &Server) -> String {
    let url = primary.url();
    let hosts = url.strip_suffix("/callgate").unwrap();
    format!("{hosts},127.0.0.1:{}/callgate", standby.port())
}

async fn works_soon(engine: &dyn Engine) {
    let watch = Stopwatch::start();
    while let Err(error) = engine.read(session_id(1)).await {
        assert!(watch.elapsed() < SOON, "still {error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_is_found_and_grants_no_old_token() {
    if !is_installed() {
        return;
    }
    let mut primary = Server::start();
    let unfenced = kit::open_as(&format!("{}?fence=off", primary.url()), "unfenced").await;
    let mut standby = primary.standby();
    let url = both(&primary, &standby);
    let engine = kit::open(&url).await;
    for seed in 1..=4 {
        kit::found(&*engine, kit::row(), kit::token(seed, session_id(seed))).await;
    }
    kit::found(&*unfenced, kit::row(), kit::token(1, session_id(1))).await;
    caught_up(&primary, &standby).await;
    // Used on the primary; as far as the standby knows, it is not.
    standby.stop();
    assert!(engine.claim(kit::order(digest(1))).await.unwrap().granted);
    assert!(unfenced.claim(kit::order(digest(1))).await.unwrap().granted);
    primary.kill();
    standby.run();
    standby.promote();
    works_soon(&*engine).await;

    for seed in 1..=4 {
        let claimed = engine.claim(kit::order(digest(seed))).await.unwrap();
        let found = claimed.found.unwrap();
        assert!(!claimed.granted && !found.fenced, "token {seed}");
        assert!(found.session.is_some_and(|session| session.ended_at.is_none()));
    }
    kit::found(&*engine, kit::row(), kit::token(9, session_id(9))).await;
    assert!(engine.claim(kit::order(digest(9))).await.unwrap().granted, "new tokens are good");

    // The control: without the fence the same token is granted a second time.
    let url = format!("{}?fence=off", standby.url());
    let unfenced = kit::open_as(&url, "unfenced").await;
    assert!(unfenced.claim(kit::order(digest(1))).await.unwrap().granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_lives_on_and_the_new_one_grant_a_token_once() {
    if !is_installed() {
        return;
    }
    let primary = Server::start();
    let old = kit::open_as(&primary.url(), "app").await;
    let standby = primary.standby();
    for seed in 1..=8 {
        kit::found(&*old, kit::row(), kit::token(seed, session_id(seed))).await;
    }
    caught_up(&primary, &standby).await;
    standby.promote();
    let new = kit::open_as(&standby.url(), "app").await;
    for seed in 1..=8 {
        let (here, there) =
            tokio::join!(old.claim(kit::order(digest(seed))), new.claim(kit::order(digest(seed))));
        assert!(here.unwrap().granted && !there.unwrap().granted, "token {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_works_on_a_standby() {
    if !is_installed() {
        return;
    }
    let primary = Server::start();
    let engine = kit::open_as(&primary.url(), "app").await;
    kit::found(&*engine, kit::row(), kit::token(1, session_id(1))).await;
    let standby = primary.standby();
    let address = Address::parse(&standby.url()).unwrap();
    let error = postgres::open(&address, "app").await.unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.starts_with("no server there may be written to"), "{error}");
    // The standby is named first.
    let engine = kit::open_as(&both(&standby, &primary), "app").await;
    assert!(engine.claim(kit::order(digest(1))).await.unwrap().granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_no_standby_confirmed_is_no_success() {
    if !is_installed() {
        return;
    }
    let primary = Server::start();
    let engine = kit::open(&primary.url()).await;
    let mut standby = primary.standby();
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    // Callgate does not take part in that.
    primary.sql("ALTER SYSTEM SET synchronous_commit = 'local'");
    primary.sql("SELECT pg_reload_conf()");
    kit::found(&*engine, kit::row(), kit::token(1, session_id(1))).await;
    standby.stop();

    let unconfirmed = |seed| {
        let mut commit = kit::commit(session_id(seed), Expect::Absent);
        commit.session = Some(kit::row());
        engine.commit(commit)
    };
    let watch = Stopwatch::start();
    let error = unconfirmed(2).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(watch.elapsed() < Duration::from_secs(10));

    // A person who loses patience gets the server to say that it is done.
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
        WHERE wait_event = 'SyncRep' AND application_name = 'callgate'";
    let url = format!("postgres://postgres@127.0.0.1:{}/callgate", primary.port());
    let (person, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut commit = unconfirmed(3);
    let done = loop {
        tokio::select! {
            done = &mut commit => break done,
            cancelled = person.query_one(cancel, &[]) => drop(cancelled.unwrap()),
        }
    };
    let error = done.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("the database gave up waiting for its standby"), "{cause}");

    standby.run();
    let watch = Stopwatch::start();
    while unconfirmed(4).await.is_err() {
        assert!(watch.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = unconfirmed(3).await.unwrap();
    assert!(matches!(again, Committed::Stale(Some(_))), "it was done on the primary: {again:?}");
    let found = engine.find(TokenKey::Digest(digest(1))).await.unwrap().unwrap();
    assert!(found.fenced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_voids_its_tokens() {
    if !is_installed() {
        return;
    }
    let server = Server::start();
    let engine = kit::open_as(&server.url(), "app").await;
    kit::found(&*engine, kit::row(), kit::token(1, session_id(1))).await;
    let dump = server.dump();
    assert!(engine.claim(kit::order(digest(1))).await.unwrap().granted);
    engine.close().await.unwrap();
    // Into the same database, and into a new cluster.
    server.sql("DROP SCHEMA callgate CASCADE");
    server.restore(&dump);
    let other = Server::start();
    other.restore(&dump);
    for server in [&server, &other] {
        let engine = kit::open_as(&server.url(), "app").await;
        let claimed = engine.claim(kit::order(digest(1))).await.unwrap();
        let found = claimed.found.unwrap();
        assert!(!claimed.granted && !found.fenced && found.token.claim.is_none());
        assert_eq!(found.session.unwrap().doc, kit::row().doc, "sessions live on");
    }
}
