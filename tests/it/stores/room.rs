//! A disk that is almost full: nothing new is begun, and what there is goes on.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::embedded::Room;
use callgate::store::live::Config;
use callgate::store::port::Founding;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use serde_json::json;

use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::founding;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::kit::token;

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn an_almost_full_disk_takes_nothing_new_and_serves_what_there_is() {
    let free = Arc::new(AtomicU64::new(64 * MIB));
    let measured = Arc::clone(&free);
    let room = move || Room { free: measured.load(Ordering::SeqCst), total: 100_000 * MIB };
    let store = EmbeddedStore::open_within(Disk::new(), Config::default(), room).unwrap();
    let (kept, ended) = (session(&store).await, session(&store).await);
    let (spent, revoked) = (minted(&store, kept.id).await, minted(&store, kept.id).await);

    free.store(64 * MIB - 1, Ordering::SeqCst);
    let founded = store.create(START, founding()).await;
    assert!(matches!(founded, Err(StoreError::Full)), "{founded:?}");
    let with_token = Founding { token: Some(token(kept.id)), ..founding() };
    assert!(matches!(store.create(START, with_token).await, Err(StoreError::Full)));
    let mint = store.mint(START, Right::Operator, Patch::default(), token(kept.id)).await;
    assert!(matches!(mint, Err(StoreError::Full)), "{mint:?}");
    // Those that were let in may finish what they came for.
    let redeemed = store.redeem(START, claim(&spent)).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    let patched = store.patch(START, kept.id, Right::Operator, set("k", &json!(1))).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
    assert!(store.revoke(START, revoked.id).await.unwrap());
    assert!(store.end(START, ended.id, Right::Operator).await.unwrap().done().is_some());
    let credential = kept.devices[0].digest;
    let resumed = store.resume(START, kept.id, credential).await.unwrap();
    assert!(matches!(resumed, Resumed::Open(_)), "{resumed:?}");
    store.sweep(START, 10).await.unwrap();
    store.self_check().await.unwrap();

    free.store(64 * MIB, Ordering::SeqCst);
    session(&store).await;
    minted(&store, kept.id).await;
}
