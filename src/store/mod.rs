//! The stores of sessions and tokens: the interface, its contract, and the implementations.
//!
//! ```text
//!   port       the interface of a store, and the rules for implementations
//!   contract   the rules as a test suite that any store can run      (feature `testing`)
//!   faulty     loses requests and replies on demand                  (feature `testing`)
//!   records    the records of a store in memory
//!   live       the state machine that all stores below share
//!   memory     loses everything with the process
//!   embedded   one machine; acknowledged writes survive a crash and a power loss
//!   shared     many nodes on one database: read, decide, write
//!   redis      such a database: Redis or Valkey, one server, with Sentinel, or a Cluster
//!   postgres   such a database: PostgreSQL
//!   sweep      the loop that removes expired records
//!   copy       copies living sessions and tokens from one store to another
//! ```
//!
//! Every store guarantees at most one redemption per token, and that an ended session never comes
//! back. They differ in what survives a crash. `memory` keeps nothing. `embedded` keeps everything
//! it has acknowledged, and the last-used times up to a tenth of the idle timeout. A database
//! keeps what it guarantees ([`port::Guarantees`]), and the last-used times up to the last
//! seconds.

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
mod records;
#[cfg(feature = "redis")]
pub mod redis;
pub mod shared;
pub mod sweep;

pub use error::StoreError;
pub use live::Config;
pub use port::{Pending, Store};
