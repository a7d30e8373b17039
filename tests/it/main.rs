//! The tests that see callgate as its users do, as one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

mod agree;
mod callbacks;
mod cli;
mod demo;
mod messages;
mod modes;
mod outage;
mod paths;
mod privileges;
mod secrets;
mod sessions;
mod stores;
mod support;
mod tables;
mod wire;
