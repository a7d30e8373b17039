//! The running time of this process, on systems without a known clock that counts during sleep.

use std::sync::OnceLock;
use std::time::Duration;

use super::Stopwatch;

/// The time since the first call. It never steps, and may not count while the machine sleeps.
pub fn uptime() -> Duration {
    static START: OnceLock<Stopwatch> = OnceLock::new();
    START.get_or_init(Stopwatch::start).elapsed()
}

/// The time since the first call. Where the processor time of a thread is not available, elapsed
/// time stands in for it, which is never less.
pub fn thread_time() -> Duration {
    uptime()
}
