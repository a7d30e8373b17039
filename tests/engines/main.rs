//! Engines of stores on real database servers, which each test starts for itself.
//!
//! Where a server is not installed, its tests say so and pass; with `CALLGATE_TEST_ENGINES` set to
//! `required` they fail.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

#[cfg(feature = "postgres")]
mod postgres;
#[path = "../it/support/services/mod.rs"]
mod services;
