//! What the heavy suites share: a server process, a plain client, and how large to be.

#[path = "../../it/support/dice.rs"]
mod dice;
#[expect(dead_code, reason = "the tests of the wire use more of it")]
#[path = "../../it/support/frames.rs"]
pub(crate) mod frames;
pub(crate) mod process;
#[expect(dead_code, reason = "the tests of the engines use more of it")]
#[path = "../../it/support/services/mod.rs"]
pub(crate) mod services;
pub(crate) mod slow;
pub(crate) mod wire;

use std::fmt::Display;

pub(crate) use dice::Dice;
pub(crate) use process::Server;
pub(crate) use process::ServerPlan;
pub(crate) use wire::Ask;
pub(crate) use wire::Connection;
pub(crate) use wire::Reply;

/// `small` for every day; `full` when `CALLGATE_TEST_SIZE=full`.
pub(crate) fn size<T>(small: T, full: T) -> T {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the heavy suites")]
    let asked = std::env::var("CALLGATE_TEST_SIZE");
    if asked.is_ok_and(|asked| asked == "full") { full } else { small }
}

/// Says what was measured.
#[expect(clippy::print_stdout, reason = "figures are collected from the output of the tests")]
pub(crate) fn figure(name: &str, value: impl Display) {
    println!("figure: {name}: {value}");
}

/// A runtime with as many threads as the machine has cores.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

/// A count, to be divided by.
pub(crate) fn real(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().ok().unwrap())
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
