//! The stores: the promises of the port, and what is left after a crash.

mod bearer;
mod broken;
mod clock;
mod contract;
mod copy;
mod crash;
pub(crate) mod disk;
mod embedded;
pub(crate) mod kit;
mod lossy;
mod model;
mod nodes;
mod property;
mod rifts;
mod room;
mod trace;

use std::future::ready;
use std::sync::Arc;

use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;

use crate::stores::disk::Disk;
use crate::stores::kit::Ground;

/// A disk in memory with an embedded store on it.
pub(crate) fn ground() -> Ground {
    let mut disk = Disk::new();
    Ground::of(move || {
        disk = disk.after_kill();
        let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
        ready(Arc::new(store) as Arc<dyn Store>)
    })
}
