//! The stores for many nodes on real database servers, which each test starts and ends itself.
//!
//! Where a server is not installed, its tests say so and pass; with `CALLGATE_TEST_ENGINES` set to
//! `required` they fail.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]
#![expect(clippy::duplicate_mod, reason = "each store runs the same scenarios")]

#[cfg(all(feature = "postgres", feature = "redis"))]
mod died;
#[path = "../it/stores/kit.rs"]
mod kit;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod lost;
mod map;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod operator;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../it/support/program.rs"]
mod program;
#[cfg(feature = "redis")]
mod redis;
mod rules;
#[expect(dead_code, reason = "the heavy tests use more of it")]
#[path = "../it/support/services/mod.rs"]
mod services;
#[expect(dead_code, reason = "the scenarios need a part of what all tests need")]
#[path = "../it/support/mod.rs"]
mod support;

use support::dice;

/// Where the scenarios look for the kit.
mod stores {
    pub(crate) use crate::kit;
}

/// `small` for every day; `full` when `CALLGATE_TEST_SIZE=full`.
fn size<T>(small: T, full: T) -> T {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test run, not of callgate")]
    let asked = std::env::var("CALLGATE_TEST_SIZE");
    if asked.is_ok_and(|asked| asked == "full") { full } else { small }
}
