//! Several nodes on one database: they keep the promises together as one does alone, whatever each
//! of them remembers, and no token is granted by a database that may have forgotten its use.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use callgate::base::Timestamp;
use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::contract;
use callgate::store::port::Minted;
use callgate::store::port::Operation;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::StoreReply;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;
use serde_json::json;

use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::kit::value;
use crate::support::log::Log;
use crate::support::size;

/// Three nodes that are asked by turns.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Arc<SharedStore>>,
    asked: AtomicUsize,
}

impl Nodes {
    pub(crate) fn new(node: impl Fn() -> Arc<SharedStore>) -> Self {
        Self { nodes: (0..3).map(|_| node()).collect(), asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &SharedStore {
        &self.nodes[self.asked.fetch_add(1, Ordering::SeqCst) % self.nodes.len()]
    }
}

impl Store for Nodes {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        Box::pin(async move {
            match operation {
                // The other nodes hear of a use some seconds later. Here they need not wait for
                // that.
                Operation::Resume { .. } => {
                    let node = self.next();
                    let resumed = node.run(now, operation).await;
                    node.flush().await?;
                    resumed
                }
                Operation::Close => {
                    for node in &self.nodes {
                        node.close().await?;
                    }
                    Ok(().into())
                }
                operation => self.next().run(now, operation).await,
            }
        })
    }
}

fn three_nodes() -> Arc<dyn Store> {
    let engine = Arc::new(MapEngine::default());
    Arc::new(Nodes::new(|| SharedStore::new(Arc::clone(&engine) as _)))
}

/// A clock that steps back is known to the node it stepped back on alone: to others only what was
/// found to be over is over. Which other promises three nodes would break, this test would tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_keep_the_promises_of_one() {
    let broken = match contract::run(START, || async { three_nodes() }).await {
        Ok(_) => Vec::new(),
        Err(breaches) => breaches,
    };
    let broken: Vec<_> = broken
        .iter()
        .filter(|breach| breach.promise != "a_clock_that_steps_back_revives_nothing")
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_tokens_has_one_winner_on_three_nodes() {
    let (tokens, claimers) = size((200, 64), (2_000, 64));
    contract::race(START, three_nodes(), tokens, claimers).await.unwrap();
}

/// What a node remembers of a session is never an answer.
#[tokio::test]
async fn a_node_that_remembers_too_much_finds_out_before_it_answers() {
    let engine = Arc::new(MapEngine::default());
    let node = || SharedStore::new(Arc::clone(&engine) as _);
    let (here, there) = (node(), node());
    let id = session(&*here).await.id;
    for n in 0..4 {
        let key = |name: &str| format!("{name}{n}");
        here.patch(START, id, Right::Operator, set(&key("here"), &json!(n))).await.unwrap();
        there.patch(START, id, Right::Operator, set(&key("there"), &json!(n))).await.unwrap();
        assert_eq!(value(&*here, id, &key("there")).await, json!(n));
        assert_eq!(value(&*there, id, &key("here")).await, json!(n));
    }
    let token = minted(&*there, id).await;
    assert!(there.end(START, id, Right::Operator).await.unwrap().done().is_some());
    let late = here.patch(START, id, Right::Operator, set("late", &json!(1))).await.unwrap();
    assert!(matches!(late, Patched::Gone), "{late:?}");
    let late = here.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(late, Redeemed::SessionGone), "{late:?}");
    assert!(here.end(START, id, Right::Operator).await.unwrap().done().is_none());
}

/// What a node remembers of a database that forgot its last writes does not pass for what another
/// node has written since, however many writes there were before and after.
#[tokio::test]
async fn a_write_after_a_fail_over_is_not_taken_back_by_a_node_that_remembers_older_times() {
    let engine = Arc::new(MapEngine::default());
    let node = || SharedStore::new(Arc::clone(&engine) as _);
    let (here, there) = (node(), node());
    let id = session(&*here).await.id;
    let before = engine.snapshot();
    here.patch(START, id, Right::Operator, set("lost", &json!(1))).await.unwrap();
    engine.fail_over(before);
    there.patch(START, id, Right::Operator, set("kept", &json!(2))).await.unwrap();
    here.patch(START, id, Right::Operator, set("later", &json!(3))).await.unwrap();
    assert_eq!(value(&*there, id, "kept").await, json!(2));
    assert_eq!(value(&*there, id, "later").await, json!(3));
    assert_eq!(value(&*there, id, "lost").await, json!(null));
}

/// A replica that has not heard of a redemption takes over (docs/SECURITY.md T20, C-07).
async fn granted_after_a_fail_over(engine: MapEngine) -> usize {
    let engine = Arc::new(engine);
    let store = SharedStore::new(Arc::clone(&engine) as _);
    let mut granted = 0;
    for _ in 0..8 {
        let token = minted(&*store, session(&*store).await.id).await;
        let before = engine.snapshot();
        let first = store.redeem(START, claim(&token)).await.unwrap();
        assert!(matches!(first, Redeemed::Granted(_)), "{first:?}");
        engine.fail_over(before);
        let second = store.redeem(START, claim(&token)).await.unwrap();
        granted += usize::from(matches!(second, Redeemed::Granted(_)));
        assert!(matches!(second, Redeemed::Granted(_) | Redeemed::Expired), "{second:?}");
        // What is minted from now on is good again.
        let token = minted(&*store, session(&*store).await.id).await;
        let redeemed = store.redeem(START, claim(&token)).await.unwrap();
        assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    }
    granted
}

#[tokio::test]
async fn a_database_that_forgot_a_redemption_grants_no_second_one() {
    let (log, _capture) = Log::capture();
    assert_eq!(granted_after_a_fail_over(MapEngine::default()).await, 0);
    log.has(&["token.fenced"]);
}

#[tokio::test]
async fn without_the_fence_it_does() {
    assert_eq!(granted_after_a_fail_over(MapEngine::without_fence()).await, 8);
}

/// Somebody mints the same token twice, as a copy between stores may that was broken off.
#[tokio::test]
async fn a_token_that_is_there_already_is_not_minted_again() {
    let store = three_nodes();
    let token = minted(&*store, session(&*store).await.id).await;
    let again = store.mint(START, Right::Operator, Patch::default(), token.clone()).await.unwrap();
    assert!(matches!(again, Minted::Refused), "{again:?}");
    let redeemed = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    let again = store.mint(START, Right::Operator, Patch::default(), token).await.unwrap();
    assert!(matches!(again, Minted::Refused), "{again:?}");
}
