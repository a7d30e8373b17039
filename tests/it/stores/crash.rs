//! Crashes at any moment: what was answered is there afterwards, and nothing comes back.

use std::sync::Arc;
use std::sync::Mutex;

use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::Token;
use serde_json::json;
use tokio::task::JoinSet;

use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::kit::value;

/// Facts that the store has answered, and that must therefore hold after a crash.
#[derive(Debug, Clone)]
enum Fact {
    Written(Record, u64),
    Spent(Token),
    Unspent(Token),
    Ended(Record),
}

/// What one visitor does for as long as the store answers.
async fn visit(store: Arc<EmbeddedStore>, facts: Arc<Mutex<Vec<Fact>>>) {
    for n in 0..6 {
        let record = session(&*store).await;
        let text = "x".repeat(20_000);
        store.patch(START, record.id, Right::Operator, set("text", &json!(text))).await.unwrap();
        store.patch(START, record.id, Right::Operator, set("n", &json!(n))).await.unwrap();
        facts.lock().unwrap().push(Fact::Written(record.clone(), n));
        let (spent, unspent) = (minted(&*store, record.id).await, minted(&*store, record.id).await);
        store.redeem(START, claim(&spent)).await.unwrap();
        facts.lock().unwrap().extend([Fact::Spent(spent), Fact::Unspent(unspent)]);
        let over = session(&*store).await;
        store.end(START, over.id, Right::Operator).await.unwrap();
        facts.lock().unwrap().push(Fact::Ended(over));
    }
}

async fn check(store: &EmbeddedStore, fact: &Fact) {
    match fact {
        Fact::Written(record, n) => {
            assert_eq!(value(store, record.id, "n").await, json!(n));
        }
        Fact::Spent(token) => {
            let redeemed = store.redeem(START, claim(token)).await.unwrap();
            assert!(matches!(redeemed, Redeemed::Used(..)), "{fact:?}: {redeemed:?}");
        }
        Fact::Unspent(token) => {
            let redeemed = store.redeem(START, claim(token)).await.unwrap();
            assert!(matches!(redeemed, Redeemed::Granted(_)), "{fact:?}: {redeemed:?}");
        }
        Fact::Ended(record) => {
            let credential = record.devices[0].digest;
            let resumed = store.resume(START, record.id, credential).await.unwrap();
            assert!(matches!(resumed, Resumed::Closed), "{fact:?}: {resumed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_was_answered_before_a_crash_holds_after_it() {
    let disk = Disk::new();
    let store = Arc::new(EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap());
    let facts = Arc::new(Mutex::new(Vec::new()));
    let mut visitors = JoinSet::new();
    for _ in 0..16 {
        visitors.spawn(visit(Arc::clone(&store), Arc::clone(&facts)));
    }
    let mut crashes = Vec::new();
    while let Some(done) = visitors.join_next().await {
        done.unwrap();
        // The facts first: the crash comes at some moment after these answers, in the middle of
        // what the other visitors do.
        let known = facts.lock().unwrap().clone();
        crashes.push((known.clone(), disk.after_power_cut()));
        crashes.push((known, disk.after_kill()));
    }
    for (known, disk) in crashes {
        let store = EmbeddedStore::open_on(disk, Config::default()).unwrap();
        for fact in &known {
            check(&store, fact).await;
        }
    }
}
