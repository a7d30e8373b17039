//! The scenarios that run on every store, on the store of many nodes with an engine in memory. Those
//! on Redis and PostgreSQL are in `tests/engines`.

use std::sync::Arc;

use callgate::store::Store;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;

use crate::stores::kit::Ground;
use crate::support::House;
use crate::support::settings;

#[path = "binding.rs"]
mod binding;
#[path = "stores/clock.rs"]
mod clock;
#[path = "confirm.rs"]
mod confirm;
#[path = "cookies.rs"]
mod cookies;
#[path = "directory.rs"]
mod directory;
#[path = "hop.rs"]
mod hop;
#[path = "modes.rs"]
mod modes;
#[path = "moved.rs"]
mod moved;
#[path = "repeats.rs"]
mod repeats;
#[path = "rest.rs"]
mod rest;
#[path = "return_path.rs"]
mod return_path;
#[path = "rights.rs"]
mod rights;
#[path = "sign_ins.rs"]
mod sign_ins;
#[path = "three_nodes.rs"]
mod three_nodes;
#[cfg(feature = "script")]
#[path = "views.rs"]
mod views;

async fn fresh() -> Arc<dyn Store> {
    SharedStore::new(Arc::new(MapEngine::default()))
}

async fn house() -> House {
    House::on(fresh().await, settings()).await
}

/// A database with one node after the other.
fn ground() -> Ground {
    let engine = Arc::new(MapEngine::default());
    Ground::of(move || {
        let store: Arc<dyn Store> = SharedStore::new(engine.clone());
        std::future::ready(store)
    })
}
