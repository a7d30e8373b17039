//! The tests of databases that many nodes use: each needs the database's own server, which it
//! starts and ends itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

#[path = "../it/stores/kit.rs"]
mod kit;
mod map;
#[cfg(feature = "redis")]
mod redis;
mod rules;
#[cfg(feature = "redis")]
mod services;
