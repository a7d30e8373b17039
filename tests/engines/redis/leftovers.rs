//! What is left in a Redis: everything goes by itself one day, and the sweep takes it before.

use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::base::limits::TOMBSTONE;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::port::Redeemed;
use callgate::store::shared::SharedStore;
use redis::Value;

use crate::kit::START;
use crate::kit::claim;
use crate::kit::minted;
use crate::kit::session;
use crate::redis::opened;
use crate::services::redis::Cluster;
use crate::services::redis::Redis;
use crate::services::redis::is_installed;

/// Leaves some of everything: living and ended sessions, tokens that are unspent, used and taken
/// back.
async fn fill(store: &SharedStore) {
    for n in 0..12 {
        let id = session(store).await.id;
        let (used, _kept, revoked) =
            (minted(store, id).await, minted(store, id).await, minted(store, id).await);
        let redeemed = store.redeem(START.after_secs(1), claim(&used)).await.unwrap();
        assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
        assert!(store.revoke(START, revoked.id).await.unwrap());
        if n % 3 == 0 {
            assert!(
                store.end(START.after_secs(2), id, Right::Operator).await.unwrap().done().is_some()
            );
        }
    }
}

fn keys(server: &Redis) -> Vec<String> {
    match server.say(&["KEYS", "cg:*"]) {
        Value::Array(keys) => keys
            .into_iter()
            .map(|key| match key {
                Value::BulkString(key) => String::from_utf8(key).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// Every row and every pointer has an end of its own, far enough away to be of no use by then.
fn end_by_themselves(server: &Redis) -> usize {
    let rows: Vec<String> = keys(server)
        .into_iter()
        .filter(|key| ["}:s:", "}:t:", "}:p:"].iter().any(|kind| key.contains(kind)))
        .collect();
    let (net, year) = (TOMBSTONE * 2, Duration::from_hours(24 * 366));
    for key in &rows {
        let left: i64 = server.told(&["PTTL", key]).parse().unwrap();
        let left = Duration::from_millis(u64::try_from(left).expect(key));
        // Some seconds have passed since it was written.
        assert!(left + Duration::from_mins(1) > net && left < year, "{key}: {left:?}");
    }
    rows.len()
}

async fn sweep_all(store: &SharedStore) {
    let mut now = START;
    for _ in 0..4 {
        now = now.after(Duration::from_hours(24));
        while store.sweep(now, 8).await.unwrap() > 0 {}
    }
}

#[tokio::test]
async fn a_sweep_leaves_nothing_and_without_one_everything_ends() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let store = SharedStore::new(opened(&server.url(), "app").await);
    fill(&store).await;
    // Two tokens of each session are left, each with its pointer.
    assert_eq!(end_by_themselves(&server), 12 + 12 * 2 * 2);
    sweep_all(&store).await;
    assert_eq!(keys(&server), ["cg:{app}:format"]);
}

#[tokio::test]
async fn a_sweep_of_a_cluster_leaves_nothing_either() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    let store = SharedStore::new(opened(&cluster.url(), "app").await);
    fill(&store).await;
    let rows: usize = cluster.nodes.iter().map(end_by_themselves).sum();
    assert!(rows >= 12 + 12 * 2 * 2, "{rows}");
    sweep_all(&store).await;
    // Nobody waits for the end of a pointer.
    let since = Stopwatch::start();
    loop {
        let left: Vec<String> = cluster.nodes.iter().flat_map(keys).collect();
        if left == ["cg:{app}:format"] {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
