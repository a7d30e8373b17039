//! The suites that need a real server process, real sockets and many of everything.
//!
//! `cargo test` builds the servers and runs each suite small. In full:
//!
//! ```text
//! cargo build --release --examples
//! CALLGATE_TEST_SIZE=full cargo test --release --test heavy -- --nocapture --test-threads 1
//! ```
//!
//! Lines that begin with `figure:` are what was measured.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

mod canary;
mod checker;
mod class_reload;
mod class_speed;
mod drain;
#[cfg(feature = "script")]
mod endings;
mod exhausted;
mod failpoints;
mod flood;
mod forward;
mod full_disk;
mod fuzz;
#[cfg(feature = "script")]
mod hostile;
#[cfg(feature = "script")]
mod isolates;
mod kill;
mod many;
mod payments;
mod races;
mod reload;
mod repeats;
mod slow;
mod soak;
mod speed;
mod support;
mod world;
mod writers;
