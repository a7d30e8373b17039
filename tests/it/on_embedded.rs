//! The scenarios that run on every store, on the embedded one; its clock is in `stores`.

use std::sync::Arc;

use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;

use crate::stores::disk::Disk;
use crate::support::House;
use crate::support::settings;

#[path = "binding.rs"]
mod binding;
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
#[cfg(feature = "script")]
#[path = "views.rs"]
mod views;

async fn fresh() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open_on(Disk::new(), Config::default()).unwrap())
}

async fn house() -> House {
    House::on(fresh().await, settings()).await
}
