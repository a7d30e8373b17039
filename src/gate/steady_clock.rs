//! The clock of a gate: the system clock, unless it jumps.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::Clock;
use crate::base::Timestamp;
use crate::base::clock::SystemClock;
use crate::base::clock::uptime;

/// The largest forward jump of the wall clock that is accepted: more than any correction, and less
/// than would end more than the sessions of one day.
const LEAP_MAX: Duration = Duration::from_hours(24);
/// A step of at least this size is recorded; smaller ones are clock drift.
const STEP: Duration = Duration::from_secs(1);

/// The system's wall clock, checked against the clock that never steps.
///
/// A store's time never goes back, so a wall clock that is wrong once and far ahead would end every
/// session and every token for good (docs/SECURITY.md E.5). A jump of more than a day is therefore
/// ignored: time continues as if it had not happened, and the event `clock.leapt` is logged. An
/// operator confirms the new time by restarting callgate. Sleep of the machine is not a jump, where
/// the system can distinguish it (Linux). Smaller steps and steps back are accepted; the store
/// ensures that they revive nothing.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    /// The wall time at which the machine was started, in milliseconds.
    start: AtomicU64,
    leapt: AtomicBool,
}

impl SteadyClock {
    /// A clock that accepts the current wall time.
    pub(crate) fn new() -> Self {
        Self::begin(SystemClock.now(), uptime())
    }

    fn begin(wall: Timestamp, running: Duration) -> Self {
        let start = AtomicU64::new(before(wall, running).millis());
        Self { start, leapt: AtomicBool::new(false) }
    }

    /// The current time, given both clocks.
    fn judge(&self, wall: Timestamp, running: Duration) -> Timestamp {
        let start = Timestamp::from_millis(self.start.load(Ordering::Relaxed));
        let expected = start.after(running);
        if wall.since(expected) > LEAP_MAX {
            if !self.leapt.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    event = "clock.leapt",
                    %wall,
                    %expected,
                    "the clock of this machine has leapt ahead by more than a day and is not \
                     believed; set it right, or start callgate again if it is right now"
                );
            }
            return expected;
        }
        if self.leapt.load(Ordering::Relaxed) && self.leapt.swap(false, Ordering::Relaxed) {
            tracing::warn!(event = "clock.back", %wall, "the clock of this machine is back");
        }
        if wall.since(expected) > STEP || expected.since(wall) > STEP {
            self.start.store(before(wall, running).millis(), Ordering::Relaxed);
        }
        wall
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.judge(SystemClock.now(), uptime())
    }
}

/// The time `span` earlier.
fn before(moment: Timestamp, span: Duration) -> Timestamp {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(moment.millis().saturating_sub(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    const NOON: Timestamp = Timestamp::from_millis(1_900_000_000_000);

    fn steady() -> SteadyClock {
        SteadyClock::begin(NOON, DAY)
    }

    #[test]
    fn steps_of_up_to_a_day_are_believed_in_both_directions() {
        let clock = steady();
        assert_eq!(clock.judge(NOON.after(HOUR), DAY + HOUR), NOON.after(HOUR));
        assert_eq!(clock.judge(NOON.after(DAY), DAY + HOUR), NOON.after(DAY), "23 hours ahead");
        assert_eq!(clock.judge(NOON, DAY + HOUR), NOON, "a day back");
        // The next step is measured from the accepted time.
        assert_eq!(clock.judge(NOON.after(DAY), DAY + HOUR), NOON.after(DAY));
        assert_eq!(clock.judge(NOON.after(DAY * 2), DAY + HOUR), NOON.after(DAY * 2));
    }

    #[test]
    fn a_leap_is_not_believed_until_the_clock_is_back() {
        let clock = steady();
        let far = NOON.after(DAY * 400);
        assert_eq!(clock.judge(far, DAY), NOON);
        assert_eq!(clock.judge(far.after(HOUR), DAY + HOUR), NOON.after(HOUR), "time goes on");
        let right = NOON.after(HOUR * 2);
        assert_eq!(clock.judge(right, DAY + HOUR * 2), right);
        let late = NOON.after(DAY * 3);
        assert_eq!(clock.judge(late, DAY * 4), late, "it was asleep, or nobody asked");
    }

    #[test]
    fn a_new_clock_believes_the_machine() {
        let clock = SteadyClock::new();
        let (before, now, after) = (SystemClock.now(), clock.now(), SystemClock.now());
        assert!(before <= now && now <= after, "{before} {now} {after}");
    }
}
