//! How long this process has run, where no clock is known that goes on while the machine sleeps.

use std::sync::OnceLock;
use std::time::Duration;

use super::Stopwatch;

/// The time since this was asked first; it never steps, and may stand still while the machine
/// sleeps.
pub fn uptime() -> Duration {
    static START: OnceLock<Stopwatch> = OnceLock::new();
    START.get_or_init(Stopwatch::start).elapsed()
}

/// The time since this was asked first: where nobody counts what a thread uses, the time that
/// passes stands for it, which is never less.
pub fn thread_time() -> Duration {
    uptime()
}
