//! The rules of engines and the promises of stores, on every kind of Redis.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use callgate::base::Timestamp;
use callgate::store::Store;
use callgate::store::contract;
use callgate::store::live::Config;
use callgate::store::shared::SharedStore;

use crate::kit::session;
use crate::patience;
use crate::redis::opened;
use crate::rules;
use crate::services::redis::Cluster;
use crate::services::redis::Redis;
use crate::services::redis::Sentinels;
use crate::services::redis::is_installed;
use crate::services::redis::shared;

/// Where the clock of the suite begins: years ahead of every server's.
const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);

async fn hold_to_rules(url: &str) {
    rules::hold(|rule| async move { opened(url, &rule[rule.len().saturating_sub(32)..]).await })
        .await;
}

/// Holds the Redis at this address to the rules and the promises; every time with an app of its
/// own, so that nobody finds what somebody else has left.
async fn hold(url: &str) {
    hold_to_rules(url).await;
    let apps = AtomicUsize::new(0);
    let fresh = || async {
        let app = format!("contract-{}", apps.fetch_add(1, Ordering::SeqCst));
        SharedStore::new(opened(url, &app).await) as Arc<dyn Store>
    };
    patience::keeps_every_promise(START, fresh).await;
    patience::one_winner_each(START, (32, 64), fresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_single_redis_keeps_every_promise() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    hold(&server.url()).await;
    hold(&format!("{}/3?fence=off", server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_with_a_replica_keeps_every_promise() {
    if !is_installed() {
        return;
    }
    let server = Redis::durable().await;
    let _replica = Redis::replica_of(&server, "").await;
    hold(&server.url()).await;
    // The promises have hundreds race for a session, and a replica on a machine with much to do
    // may keep them waiting for too long.
    hold_to_rules(&format!("{}/1?wait=1", server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_behind_tls_keeps_every_promise() {
    if !is_installed() {
        return;
    }
    let server = Redis::with_tls().await;
    hold(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_with_sentinels_keeps_every_promise() {
    if !is_installed() {
        return;
    }
    let servers = Sentinels::start("").await;
    hold(&servers.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_every_promise() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    hold(&cluster.url()).await;
}

#[tokio::test]
async fn guests_have_their_share_of_one_redis() {
    if !is_installed() {
        return;
    }
    let config = Config { sessions_max: 60, ..Config::default() };
    let store = SharedStore::with(opened(&shared().await, "guests").await, config);
    contract::guests_have_their_share(START, store, (config, 0)).await.unwrap();
}

/// Each of its 256 parts has its part of the share.
#[tokio::test]
async fn guests_have_their_share_of_a_cluster() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    let config = Config { sessions_max: 400, ..Config::default() };
    let store = SharedStore::with(opened(&cluster.url(), "guests").await, config);
    for _ in 0..600 {
        session(&*store).await;
    }
    let guests = store.sessions(START, None, 1_000).await.unwrap().len();
    assert!(guests <= 256, "{guests} guests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_decides_as_the_node_does() {
    if !is_installed() {
        return;
    }
    rules::table::decides_as_the_node_does(opened(&shared().await, "table").await).await;
    rules::table::undoes_a_wrong_grant(opened(&shared().await, "misled").await).await;
}

/// Its steps get the keys of a token from the node, and no pointer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_decides_as_the_node_does() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    rules::table::decides_as_the_node_does(opened(&cluster.url(), "table").await).await;
    rules::table::undoes_a_wrong_grant(opened(&cluster.url(), "misled").await).await;
}
