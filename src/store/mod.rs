//! The stores of sessions and tokens: the interface, its contract, and the implementations.
//!
//! ```text
//!   port       the interface of a store, and the rules for implementations
//!   contract   the rules as a test suite that any store can run      (feature `testing`)
//!   faulty     loses requests and replies on demand                  (feature `testing`)
//!   records    the records of a store in memory
//!   live       one session with its tokens decides; memory and embedded are maps of those
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
//!
//! # What a new operation costs
//!
//! An operation is a value, [`port::Operation`], and a store runs it in one function,
//! [`Store::run`]. Stores around stores, `faulty` among them, pass it on without knowing it. An
//! operation on one session or one token touches these files:
//!
//! 1. `port/operation.rs`: its variant, what it concerns (`subject`), and the type of its result if
//!    that is new.
//! 2. `port/mod.rs`: its method, and its result.
//! 3. `live/session.rs`: its line in `decide`, which names its rule.
//! 4. `live/decision/sessions.rs`, `tokens.rs` or `runs.rs`: the rule itself, from the state of
//!    the session to the changes and the result.
//! 5. `shared/operations.rs`: its line in `run`, which says whether it reads, writes, or works on a
//!    token.
//! 6. A file of `contract`: its promises, which every store is then tested for.
//! 7. `docs/PROMISES.md`: the same for readers.
//!
//! Memory runs it as it is, and so does embedded; an operation that only reads is named in
//! `embedded/mod.rs`, so that it need not wait for the journal. If existing
//! [`Change`](live)s express its effect, this is all, and no engine is touched. A new kind of
//! change costs its application (`live/change.rs`, `session.rs`, `apply.rs`), its stored form
//! (`embedded/codec.rs`), and its write (`shared/snapshot.rs`, with a marshalling in `commit.rs` and
//! the script of each engine if it changes a token in a new way). Pages over the whole store and
//! anything that a database must decide by itself need a step of
//! [`Engine`](shared::Engine).

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
