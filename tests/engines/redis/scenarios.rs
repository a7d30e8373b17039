//! The scenarios of `tests/it` that run on every store, on Redis.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use callgate::store::Store;
use callgate::store::memory::MemoryStore;
use callgate::store::shared::SharedStore;

use crate::kit::Ground;
use crate::redis::opened;
use crate::services::redis::is_installed;
use crate::services::redis::shared;
use crate::support::House;
use crate::support::settings;

#[path = "../../it/binding.rs"]
mod binding;
#[path = "../../it/stores/clock.rs"]
mod clock;
#[path = "../../it/confirm.rs"]
mod confirm;
#[path = "../../it/cookies.rs"]
mod cookies;
#[path = "../../it/directory.rs"]
mod directory;
#[path = "../../it/hop.rs"]
mod hop;
#[path = "../../it/modes.rs"]
mod modes;
#[path = "../../it/moved.rs"]
mod moved;
#[path = "../../it/repeats.rs"]
mod repeats;
#[path = "../../it/rest.rs"]
mod rest;
#[path = "../../it/return_path.rs"]
mod return_path;
#[path = "../../it/rights.rs"]
mod rights;
#[path = "../../it/sign_ins.rs"]
mod sign_ins;
#[path = "../../it/three_nodes.rs"]
mod three_nodes;
#[cfg(feature = "script")]
#[path = "../../it/views.rs"]
mod views;

/// An app that no other scenario has, on a server that all of them share. Where none is installed,
/// which is said, they run in memory.
async fn fresh() -> Arc<dyn Store> {
    open(&app()).await
}

async fn house() -> House {
    House::on(fresh().await, settings()).await
}

/// A database with one node after the other.
fn ground() -> Ground {
    if !is_installed() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        return Ground::of(move || ready(Arc::clone(&store)));
    }
    let app = app();
    Ground::of(move || {
        let app = app.clone();
        async move { open(&app).await }
    })
}

async fn open(app: &str) -> Arc<dyn Store> {
    if !is_installed() {
        return Arc::new(MemoryStore::new());
    }
    let url = shared().await;
    SharedStore::new(opened(&url, app).await)
}

fn app() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("scenario{}", NUMBER.fetch_add(1, Ordering::SeqCst))
}
