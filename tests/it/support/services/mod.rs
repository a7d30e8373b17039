//! Servers of databases, each a process of a test's own, and what is done where one is missing.

use std::io::Write;

#[cfg(feature = "postgres")]
pub(crate) mod pgbouncer;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod proxy;
#[cfg(feature = "redis")]
pub(crate) mod redis;

/// Says that a part of the tests did not run, and why.
///
/// The line goes to the terminal past the test runner, which shows what `println` writes for tests
/// that fail alone. `./test` names each such line in its summary.
pub(crate) fn skipped(what: &str, why: &str) {
    let line = format!("\nskipped: {what}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Says that a server is missing; fails where `CALLGATE_TEST_ENGINES` is `required`.
pub(crate) fn missing(server: &str) {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test run, not of callgate")]
    let needed = std::env::var("CALLGATE_TEST_ENGINES").is_ok_and(|word| word == "required");
    assert!(!needed, "{server} is not installed, and CALLGATE_TEST_ENGINES is \"required\"");
    skipped(&format!("tests with {server}"), "it is not installed");
}
