//! Servers that stop, die, hang and come back: nobody waits long, nothing is guessed, and callgate
//! goes on without a restart.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::store::StoreError;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Engine;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::TokenKey;
use tokio::task::JoinSet;

use crate::patience;
use crate::services::postgres::Server;
use crate::services::postgres::is_installed;

use super::kit;
use super::kit::digest;
use super::kit::session_id;

/// How soon callgate works again after the database does, though the machine may have much else to do.
const SOON: Duration = Duration::from_secs(30);
/// How long a step may take, whatever happens to the database and however busy the machine is.
const BOUNDED: Duration = Duration::from_secs(10);

/// Asks until it works.
async fn works_soon(engine: &dyn Engine) {
    let watch = Stopwatch::start();
    while let Err(error) = engine.read(session_id(1)).await {
        assert!(watch.elapsed() < SOON, "still {error:?} after {:?}", watch.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn founding(seed: u8) -> Commit {
    let session = Some(kit::row());
    Commit { session, ..kit::commit(session_id(seed), Expect::Absent) }
}

/// Many steps at once fail, each in time; the errors.
async fn all_fail(engine: &Arc<dyn Engine>) -> Vec<StoreError> {
    let mut steps = JoinSet::new();
    for seed in 100..164 {
        let engine = Arc::clone(engine);
        steps.spawn(async move {
            let watch = Stopwatch::start();
            let done = engine.commit(founding(seed)).await;
            (done, watch.elapsed())
        });
    }
    let mut errors = Vec::new();
    while let Some(step) = steps.join_next().await {
        let (done, took) = step.unwrap();
        assert!(took < BOUNDED, "a step took {took:?}");
        errors.push(done.unwrap_err());
    }
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_database_is_survived() {
    if !is_installed() {
        return;
    }
    let mut server = Server::start();
    let engine = kit::open(&server.url()).await;
    kit::found(&*engine, kit::row(), kit::token(1, session_id(1))).await;
    server.stop();
    for error in all_fail(&engine).await {
        assert!(matches!(error, StoreError::Unreachable(_) | StoreError::Refused(_)), "{error:?}");
    }
    server.run();
    works_soon(&*engine).await;
    assert!(engine.claim(kit::order(digest(1))).await.unwrap().granted, "the same epoch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_death_of_the_database() {
    if !is_installed() {
        return;
    }
    let mut server = Server::start();
    let engine = kit::open(&server.url()).await;
    let mut expected = Vec::new();
    for round in 0..3_u8 {
        for seed in 0..20 {
            let seed = 1 + round * 20 + seed;
            kit::found(&*engine, kit::row(), kit::token(seed, session_id(seed))).await;
            if seed % 2 == 0 {
                assert!(engine.claim(kit::order(digest(seed))).await.unwrap().granted);
            }
            expected.push(seed);
        }
        server.kill();
        let errors = all_fail(&engine).await;
        assert!(errors.iter().any(|error| matches!(error, StoreError::Unreachable(_))));
        server.run();
        works_soon(&*engine).await;
        for seed in &expected {
            let found = engine.find(TokenKey::Digest(digest(*seed))).await.unwrap().unwrap();
            assert_eq!(found.token.claim.is_some(), seed % 2 == 0, "token {seed}");
            assert!(found.fenced && found.session.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_holds_nobody_up_for_long() {
    if !is_installed() {
        return;
    }
    let server = Server::start();
    let engine = kit::open(&server.url()).await;
    // As many connections as there can be.
    let mut readers = JoinSet::new();
    for seed in 0..64 {
        let engine = Arc::clone(&engine);
        readers.spawn(async move { engine.read(session_id(seed)).await.unwrap() });
    }
    readers.join_all().await;
    server.freeze();
    for _ in 0..2 {
        let errors = all_fail(&engine).await;
        assert!(errors.iter().any(|error| matches!(error, StoreError::Unreachable(_))));
    }
    server.thaw();
    works_soon(&*engine).await;
    // What had no answer has happened or not, and never half: a row is whole or not there.
    for seed in 100..164 {
        let row = engine.read(session_id(seed)).await.unwrap();
        assert!(row.is_none_or(|row| row.version == 1 && row.doc == kit::row().doc));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_keeps_locked_is_refused_and_not_waited_for() {
    let Some(url) = kit::url() else { return };
    let engine = kit::open_as(&url, "locked").await;
    kit::found(&*engine, kit::row(), kit::token(1, session_id(1))).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; SELECT 1 FROM callgate.session WHERE app = 'locked' FOR UPDATE";
    client.batch_execute(lock).await.unwrap();
    let claim = async || engine.claim(kit::order(digest(1))).await.unwrap_err();
    let errors = patience::fails_soon(Duration::from_secs(1), claim).await;
    assert!(matches!(errors.last(), Some(StoreError::Refused(_))), "{errors:?}");
    // A sweep passes over it.
    let over = kit::after_ms(kit::HOUR_MS);
    assert_eq!(engine.sweep(over, 100).await.unwrap(), 1, "only the token");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(engine.read(session_id(1)).await.unwrap().unwrap().ended_at.is_none());
    kit::mint(&*engine, kit::token(1, session_id(1))).await;
    assert!(engine.claim(kit::order(digest(1))).await.unwrap().granted, "it was not executed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_nobody_waits_for_any_more_harms_no_other() {
    let Some(url) = kit::url() else { return };
    let engine = kit::open(&format!("{url}?pool=2")).await;
    for seed in 0..200 {
        let mut commit = Box::pin(engine.commit(founding(seed)));
        // Sent, and dropped before there is an answer.
        let is_done = futures_ready(&mut commit).await;
        drop(commit);
        let row = engine.read(session_id(seed)).await.unwrap();
        assert!(row.is_none_or(|row| row.version == 1) || is_done);
    }
    assert_eq!(engine.commit(founding(201)).await.unwrap(), Committed::Done);
}

/// Lets a future run until it waits for the third time; whether it ended.
async fn futures_ready<F: Future + Unpin>(future: &mut F) -> bool {
    for _ in 0..3 {
        let poll = std::future::poll_fn(|cx| {
            let polled = std::pin::Pin::new(&mut *future).poll(cx);
            std::task::Poll::Ready(polled.is_ready())
        });
        if poll.await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
