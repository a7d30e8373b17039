//! How long the machine has run, by the clock of Linux that goes on while it sleeps.

use std::time::Duration;

use rustix::time::ClockId;
use rustix::time::clock_gettime;

/// The time since the machine was started, sleep included; it never steps.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}

/// The processor time that this thread has used, whoever else was busy meanwhile.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}
