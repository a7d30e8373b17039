//! Keeping sessions and tokens: the port, its promises, and the stores that keep them.
//!
//! ```text
//!   port       what a store is asked, and the rules for whoever implements it
//!   contract   the rules as a test suite that any store can run      (feature `testing`)
//!   faulty     loses requests and replies when a test says so        (feature `testing`)
//!   live       the state machine that all stores below share
//!   memory     loses everything with the process
//!   embedded   one machine; what it answered survives a crash and a power cut
//!   shared     many nodes on one database: read, decide, write
//!   redis      such a database: Redis or Valkey, one server, with Sentinel, or a Cluster
//!   postgres   such a database: PostgreSQL
//!   sweep      the loop that gives up what is over
//!   copy       moves what lives from one store to another
//! ```
//!
//! At most one redemption, and no session that comes back, hold in every store. What differs is
//! what is left after a crash: nothing in `memory`; in `embedded` everything that was answered,
//! and of the moments sessions were last used all but a tenth of the idle timeout; on a database
//! what it keeps ([`port::Guarantees`]), and of those moments all but the last seconds.

#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod copy;
mod displaced;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
#[cfg_attr(
    not(feature = "embedded"),
    expect(dead_code, reason = "some of it is for a journal, which only the embedded store has")
)]
pub mod live;
pub mod memory;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod shared;
pub mod sweep;

pub use error::StoreError;
pub use live::Config;
pub use port::{Pending, Store};
