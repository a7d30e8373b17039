//! The uptime of the machine, by the Linux clock that also counts while the machine sleeps.

use std::time::Duration;

use rustix::time::ClockId;
use rustix::time::clock_gettime;

/// The time since the machine was started, including sleep; it never steps.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}

/// The processor time that this thread has used, regardless of other load.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}
