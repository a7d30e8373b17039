//! The stores: the promises of the port, and what is left after a crash.

mod bearer;
mod broken;
mod busy;
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

use callgate::session::AccessChange;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;
use callgate::store::port::Created;
use callgate::store::port::Founding;

use crate::stores::disk::Disk;
use crate::stores::kit::Ground;
use crate::stores::kit::START;
use crate::stores::kit::founding;

/// A disk in memory with an embedded store on it.
pub(crate) fn ground() -> Ground {
    let mut disk = Disk::new();
    Ground::of(move || {
        disk = disk.after_kill();
        let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
        ready(Arc::new(store) as Arc<dyn Store>)
    })
}

/// Founds a session of somebody who is signed in.
pub(crate) async fn signed_in(store: &dyn Store) -> Record {
    let founding = signing_in();
    let record = founding.record.clone();
    let created = store.create(START, founding).await.unwrap();
    assert!(matches!(created, Created::New(_)), "{created:?}");
    record
}

pub(crate) fn signing_in() -> Founding {
    let access =
        AccessChange { grant: vec!["member".into()], known: true, ..AccessChange::default() };
    Founding { patch: Patch { access: Some(access), ..Patch::default() }, ..founding() }
}
