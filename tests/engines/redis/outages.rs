//! Servers that go away, come back, take over, or refuse: nothing is granted twice, and service is
//! back by itself.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::shared::SharedStore;
use serde_json::json;

use crate::kit::START;
use crate::kit::claim;
use crate::kit::minted;
use crate::kit::session;
use crate::kit::set;
use crate::kit::value;
use crate::patience;
use crate::redis::opened;
use crate::services::redis::Cluster;
use crate::services::redis::Redis;
use crate::services::redis::Sentinels;
use crate::services::redis::is_installed;

/// How soon service must be back once the server is, though the machine may have much else to do. In
/// how many seconds it is back where nothing else runs, `tests/heavy/many` measures.
const BACK: Duration = Duration::from_secs(30);

async fn store(url: &str) -> Arc<SharedStore> {
    SharedStore::new(opened(url, "app").await)
}

/// Waits until the store works again.
async fn works_again(store: &dyn Store) {
    let since = Stopwatch::start();
    loop {
        match store
            .look(START, callgate::base::SessionId::from_bytes([9; 16]), Right::Operator)
            .await
        {
            Ok(_) => return,
            Err(why) => assert!(since.elapsed() < BACK, "still out of service: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again_with_what_it_answered() {
    if !is_installed() {
        return;
    }
    let mut server = Redis::durable().await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    for n in 0..5 {
        let patched = store.patch(START, id, Right::Operator, set("n", &json!(n))).await.unwrap();
        assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
        let (spent, unspent) = (minted(&*store, id).await, minted(&*store, id).await);
        let granted = store.redeem(START, claim(&spent)).await.unwrap();
        assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
        server.kill();
        // While it is away, every operation says so, and soon.
        let redeem = async || store.redeem(START, claim(&unspent)).await.unwrap_err();
        for away in patience::fails_soon(Duration::from_secs(1), redeem).await {
            let is_away = matches!(away, StoreError::Unreachable(_) | StoreError::Refused(_));
            assert!(is_away, "{away:?}");
        }
        server.restart().await;
        works_again(&*store).await;
        assert_eq!(value(&*store, id, "n").await, json!(n));
        // Whether it was used may be what was lost: nobody is granted it, used or not.
        let used = store.redeem(START, claim(&spent)).await.unwrap();
        assert!(matches!(used, Redeemed::Used(..)), "{used:?}");
        let fenced = store.redeem(START, claim(&unspent)).await.unwrap();
        assert!(matches!(fenced, Redeemed::Expired), "{fenced:?}");
        // What is minted from now on is good.
        let fresh = minted(&*store, id).await;
        let granted = store.redeem(START, claim(&fresh)).await.unwrap();
        assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
    }
}

#[tokio::test]
async fn without_the_fence_tokens_outlive_a_restart() {
    if !is_installed() {
        return;
    }
    let mut server = Redis::durable().await;
    let store = store(&format!("{}?fence=off", server.url())).await;
    let token = minted(&*store, session(&*store).await.id).await;
    server.restart().await;
    works_again(&*store).await;
    let granted = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
}

/// A server that forgets everything since it was saved last.
#[tokio::test]
async fn a_server_that_forgot_a_redemption_grants_no_second_one() {
    if !is_installed() {
        return;
    }
    let mut server = Redis::start("").await;
    for (fence, again) in [("on", false), ("off", true)] {
        let store = store(&format!("{}?fence={fence}", server.url())).await;
        let token = minted(&*store, session(&*store).await.id).await;
        server.say(&["SAVE"]);
        let granted = store.redeem(START, claim(&token)).await.unwrap();
        assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
        server.restart().await;
        works_again(&*store).await;
        let second = store.redeem(START, claim(&token)).await.unwrap();
        assert_eq!(matches!(second, Redeemed::Granted(_)), again, "{fence}: {second:?}");
    }
}

/// The primary is cut off before it can tell its replica of the redemption, the replica takes over,
/// and later the old primary does, which has never been restarted: its name must not be the old one.
#[tokio::test]
async fn a_primary_that_comes_back_unrestarted_grants_nothing_again() {
    if !is_installed() {
        return;
    }
    let first = Redis::start("--repl-timeout 60").await;
    let second = Redis::replica_of(&first, "").await;
    for (fence, again) in [("on", false), ("off", true)] {
        let here = store(&format!("{}?fence={fence}", first.url())).await;
        let token = minted(&*here, session(&*here).await.id).await;
        second.wait_for("INFO replication", "master_link_status:up").await;
        first.say(&["WAIT", "1", "2000"]);
        second.say(&["REPLICAOF", "NO", "ONE"]);
        let granted = here.redeem(START, claim(&token)).await.unwrap();
        assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
        let port = second.port().to_string();
        first.say(&["REPLICAOF", "127.0.0.1", &port]);
        first.wait_for("INFO replication", "master_link_status:up").await;
        first.say(&["REPLICAOF", "NO", "ONE"]);
        works_again(&*here).await;
        let back = store(&format!("{}?fence={fence}", first.url())).await;
        let redeemed = back.redeem(START, claim(&token)).await.unwrap();
        assert_eq!(matches!(redeemed, Redeemed::Granted(_)), again, "{fence}: {redeemed:?}");
        let port = first.port().to_string();
        second.say(&["REPLICAOF", "127.0.0.1", &port]);
        second.wait_for("INFO replication", "master_link_status:up").await;
    }
}

#[tokio::test]
async fn a_demoted_server_serves_nobody() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let other = Redis::start("").await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    server.say(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let refused = store.patch(START, id, Right::Operator, set("k", &json!(1))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    // From then on nothing is read from it either.
    let read = store.look(START, id, Right::Operator).await.unwrap_err();
    assert!(matches!(read, StoreError::Refused(_)), "{read:?}");
    server.say(&["REPLICAOF", "NO", "ONE"]);
    works_again(&*store).await;
}

#[tokio::test]
async fn a_full_server_takes_nothing_new_and_lets_callbacks_home() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let store = store(&server.url()).await;
    let (id, other) = (session(&*store).await.id, session(&*store).await.id);
    let (token, revoked) = (minted(&*store, id).await, minted(&*store, id).await);
    server.say(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = store.patch(START, id, Right::Operator, set("k", &json!("v"))).await.unwrap_err();
    assert!(matches!(full, StoreError::Full), "{full:?}");
    let granted = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
    assert!(store.revoke(START, revoked.id).await.unwrap());
    assert!(store.end(START, other, Right::Operator).await.unwrap().done().is_some());
    let far = START.after(Duration::from_hours(24 * 400));
    assert!(store.sweep(far, 512).await.unwrap() > 0);
    // A callgate that is started now starts.
    opened(&server.url(), "app").await;
    server.say(&["CONFIG", "SET", "maxmemory", "0"]);
    session(&*store).await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_refuses() {
    if !is_installed() {
        return;
    }
    let mut server =
        Redis::start("--key-load-delay 200 --loading-process-events-interval-bytes 1024").await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    server.say(&["DEBUG", "POPULATE", "20000"]);
    server.say(&["SAVE"]);
    // It comes up, and is busy for a while.
    server.kill();
    assert!(server.come_up_loading().await, "it does not come up");
    let since = Stopwatch::start();
    let mut loading = 0;
    loop {
        match store.look(START, id, Right::Operator).await {
            Ok(found) => {
                assert!(found.done().is_some());
                break;
            }
            Err(StoreError::Refused(why)) => {
                loading += usize::from(why.contains("loading"));
            }
            Err(why) => panic!("{why:?}"),
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it loads for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(loading > 0, "it was never seen loading");
}

#[tokio::test]
async fn too_few_replicas_are_a_refusal_or_an_unknown_outcome() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let replica = Redis::replica_of(&server, "").await;
    let waiting = store(&format!("{}?wait=1", server.url())).await;
    let plain = store(&server.url()).await;
    let id = session(&*waiting).await.id;
    replica.freeze();
    let unknown = waiting.patch(START, id, Right::Operator, set("k", &json!(1))).await.unwrap_err();
    assert!(matches!(unknown, StoreError::Unreachable(_)), "{unknown:?}");
    replica.thaw();
    // It was written all the same, and is there to be read.
    assert_eq!(value(&*plain, id, "k").await, json!(1));
    server.say(&["CONFIG", "SET", "min-replicas-to-write", "2"]);
    let refused = plain.patch(START, id, Right::Operator, set("k", &json!(2))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert_eq!(value(&*plain, id, "k").await, json!(1));
}

#[tokio::test]
async fn a_lost_permission_is_a_refusal() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    server.say(&["ACL", "SETUSER", "default", "-evalsha"]);
    let refused = store.patch(START, id, Right::Operator, set("k", &json!(1))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    server.say(&["ACL", "SETUSER", "default", "+evalsha"]);
    let patched = store.patch(START, id, Right::Operator, set("k", &json!(1))).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_found_again() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    server.freeze();
    let silent = store.patch(START, id, Right::Operator, set("k", &json!(1))).await.unwrap_err();
    assert!(matches!(silent, StoreError::Unreachable(_)), "{silent:?}");
    let look = async || store.look(START, id, Right::Operator).await.unwrap_err();
    for away in patience::fails_soon(Duration::from_secs(1), look).await {
        assert!(matches!(away, StoreError::Unreachable(_) | StoreError::Refused(_)), "{away:?}");
    }
    server.thaw();
    works_again(&*store).await;
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_brought_again() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let store = store(&server.url()).await;
    let id = session(&*store).await.id;
    let token = minted(&*store, id).await;
    server.say(&["SCRIPT", "FLUSH"]);
    let granted = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
}

#[tokio::test]
async fn a_master_of_sentinels_that_dies_is_replaced() {
    if !is_installed() {
        return;
    }
    let mut servers = Sentinels::start("").await;
    let store = store(&servers.url()).await;
    let id = session(&*store).await.id;
    let token = minted(&*store, id).await;
    servers.primary.say(&["WAIT", "1", "2000"]);
    servers.primary.kill();
    servers.wait_for_master(&servers.replica).await;
    works_again(&*store).await;
    let fenced = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(fenced, Redeemed::Expired), "{fenced:?}");
    let fresh = minted(&*store, id).await;
    let granted = store.redeem(START, claim(&fresh)).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
}

#[tokio::test]
async fn a_master_of_a_cluster_that_dies_is_replaced() {
    if !is_installed() {
        return;
    }
    let mut cluster = Cluster::start("").await;
    let replica = cluster.replica_of(0, "").await;
    let store = store(&cluster.url()).await;
    let mut ids = Vec::new();
    for n in 0..32 {
        let id = session(&*store).await.id;
        store.patch(START, id, Right::Operator, set("n", &json!(n))).await.unwrap();
        ids.push(id);
    }
    cluster.nodes[0].say(&["WAIT", "1", "2000"]);
    cluster.nodes[0].kill();
    replica.wait_for("INFO replication", "role:master").await;
    for node in cluster.nodes.iter().skip(1) {
        node.wait_for("CLUSTER INFO", "cluster_state:ok").await;
    }
    let since = Stopwatch::start();
    for (n, id) in ids.into_iter().enumerate() {
        while store.look(START, id, Right::Operator).await.is_err() {
            assert!(since.elapsed() < BACK, "still out of service");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(value(&*store, id, "n").await, json!(n));
        store.patch(START, id, Right::Operator, set("n", &json!(0))).await.unwrap();
    }
}

#[tokio::test]
async fn slots_that_move_take_their_sessions_along() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    let store = store(&cluster.url()).await;
    let id = session(&*store).await.id;
    let token = minted(&*store, id).await;
    let (slot, from, to) = cluster.place_of(&format!("cg:{{app:{}}}:x", &id.to_string()[..2]));
    cluster.begin_to_move(slot, from, to);
    // Halfway some keys are here and some there: nobody is told anything wrong.
    let keys = cluster.keys(slot, from);
    assert!(keys.len() >= 4, "{keys:?}");
    for (n, key) in keys.iter().enumerate() {
        cluster.move_key(key, from, to);
        match store.patch(START, id, Right::Operator, set("n", &json!(n))).await {
            Ok(Patched::Done(_)) | Err(StoreError::Refused(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let patched =
        store.patch(START, id, Right::Operator, set("asked", &json!(true))).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
    cluster.end_the_move(slot, to);
    let patched =
        store.patch(START, id, Right::Operator, set("moved", &json!(true))).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
    assert_eq!(value(&*store, id, "asked").await, json!(true));
    // Its new home did not mint it.
    let fenced = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(fenced, Redeemed::Expired), "{fenced:?}");
}
