//! What a machine with much to do needs: servers that are asked again when they had no time to answer.
//!
//! Stores give up on a server within a second or two, which is their promise to those who call; a
//! machine that runs many servers and tests at once keeps them waiting for longer now and then. That
//! is no breach of what a store promises of its answers.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::Timestamp;
use callgate::base::clock::Stopwatch;
use callgate::store::Store;
use callgate::store::contract;
use callgate::store::contract::Broken;
use callgate::store::contract::PROMISES;
use callgate::store::shared::Engine;
use callgate::store::shared::OpenError;
use callgate::store::shared::OpenErrorKind;

/// How long a server that is known to run may take to be reached.
const REACHED_WITHIN: Duration = Duration::from_mins(1);
/// How often a promise may be tried because the store gave no answer.
const TRIES_MAX: usize = 10;

/// Opens an engine on a server that runs.
pub(crate) async fn open<F>(open: impl Fn() -> F) -> Arc<dyn Engine>
where
    F: Future<Output = Result<Arc<dyn Engine>, OpenError>>,
{
    let since = Stopwatch::start();
    loop {
        match open().await {
            Ok(engine) => return engine,
            Err(error)
                if error.kind == OpenErrorKind::Unreachable && since.elapsed() < REACHED_WITHIN => {
            }
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds stores to every promise, each time a fresh one. Where it gave no answer the promise is tried
/// again on another one; an answer that breaks it is a breach at once.
pub(crate) async fn keeps_every_promise<F>(start: Timestamp, fresh: impl Fn() -> F)
where
    F: Future<Output = Arc<dyn Store>>,
{
    let mut breaches = Vec::new();
    for promise in PROMISES {
        let check = async || promise.check(start, fresh().await).await;
        if let Err(how) = answered(check).await {
            breaches.push((promise.name, how));
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// The race of the contract, under the same terms.
pub(crate) async fn one_winner_each<F>(
    start: Timestamp,
    (tokens, claimers): (usize, usize),
    fresh: impl Fn() -> F,
) where
    F: Future<Output = Arc<dyn Store>>,
{
    let race = async || contract::race(start, fresh().await, tokens, claimers).await;
    answered(race).await.unwrap();
}

async fn answered(check: impl AsyncFn() -> Result<(), Broken>) -> Result<(), Broken> {
    let mut tries = 1;
    loop {
        match check().await {
            Err(how) if how.is_unanswered() && tries < TRIES_MAX => tries += 1,
            kept => return kept,
        }
    }
}

/// How long a operation may take at most of which it is promised that it fails soon.
const FAILS_WITHIN: Duration = Duration::from_secs(10);

/// Sees that something fails as soon as it should: each time in the end, and at least once of a few
/// times within `soon`, whatever else the machine has to do.
pub(crate) async fn fails_soon<E>(soon: Duration, fail: impl AsyncFn() -> E) -> Vec<E> {
    let mut errors = Vec::new();
    let mut fastest = Duration::MAX;
    while errors.len() < TRIES_MAX && fastest >= soon {
        let since = Stopwatch::start();
        errors.push(fail().await);
        let took = since.elapsed();
        assert!(took < FAILS_WITHIN, "it took {took:?}");
        fastest = fastest.min(took);
    }
    assert!(fastest < soon, "never sooner than after {fastest:?}");
    errors
}
