//! The store on the engine keeps every promise of the port.

use std::sync::Arc;

use callgate::store::Store;
use callgate::store::contract;
use callgate::store::shared::SharedStore;

use super::kit;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_every_promise() {
    let Some(url) = kit::url() else { return };
    let fresh = || async { SharedStore::new(kit::open(&url).await) as Arc<dyn Store> };
    let kept = contract::run(kit::NOW, fresh).await;
    assert!(kept.as_ref().is_ok_and(|promises| *promises >= 35), "{kept:#?}");
}
