//! The processor time of the call that runs, and what stops it when its budget is used up.

use std::cell::Cell;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::base::clock::Stopwatch;
use crate::base::clock::thread_time;

/// A slice that has taken this long rests a little after each stretch of work. A class that wakes
/// up on the same processor would otherwise wait until the scheduler takes it away, which is some
/// milliseconds: to step back (`yield_now`) does not help, as whoever steps back may go on at once.
const YIELD_AFTER: Duration = Duration::from_millis(2);
/// A stretch, by the clock of this thread, and how long the rest after it is at least.
const YIELD_EVERY: Duration = Duration::from_micros(150);
const YIELD_FOR: Duration = Duration::from_micros(50);

/// Measures one slice at a time: the engine asks it some ten thousand times a second whether to go
/// on.
#[derive(Default)]
pub(super) struct CpuBudget {
    /// How long the slice has taken by the clock on the wall, which is cheaper to read: the
    /// processor time is never more.
    watch: Cell<Option<Stopwatch>>,
    /// For so long there is nothing to look at.
    quiet: Cell<Duration>,
    /// When the slice began, and how long it may take, by the clock of this thread.
    begun: Cell<Duration>,
    until: Cell<Duration>,
    /// When it rested last.
    rested: Cell<Duration>,
    /// Raised from outside when nobody waits for the call any more.
    cancelled: RefCell<Option<Arc<AtomicBool>>>,
    stopped: Cell<Option<Stopped>>,
}

/// Why a slice was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The processor time of the call is used up.
    Cpu,
    /// The caller has gone, or its time is up.
    Cancelled,
    /// It waits, and holds too much memory meanwhile.
    Memory,
}

impl CpuBudget {
    /// Begins a slice of at most `left`, which also ends when `gone` is raised.
    pub(super) fn begin(&self, left: Duration, cancelled: Option<Arc<AtomicBool>>) {
        let now = thread_time();
        self.watch.set(Some(Stopwatch::start()));
        self.quiet.set(left.min(YIELD_AFTER));
        self.begun.set(now);
        self.rested.set(now);
        self.until.set(now.saturating_add(left));
        self.cancelled.replace(cancelled);
        self.stopped.set(None);
    }

    /// Ends the slice: how long it took, and whether it was broken off.
    pub(super) fn end(&self) -> (Duration, Option<Stopped>) {
        let used = thread_time().saturating_sub(self.begun.get());
        self.until.set(Duration::MAX);
        self.cancelled.replace(None);
        (used, self.stopped.take())
    }

    /// Whether the slice has to end now. Once it had to, it stays so until the next one begins.
    pub(super) fn must_stop(&self) -> bool {
        if self.stopped.get().is_some() {
            return true;
        }
        let cancelled =
            self.cancelled.borrow().as_ref().is_some_and(|cancelled| cancelled.load(Relaxed));
        let is_new = self.watch.get().is_some_and(|watch| watch.elapsed() < self.quiet.get());
        if is_new && !cancelled {
            return false;
        }
        let now = thread_time();
        let why = if cancelled {
            Some(Stopped::Cancelled)
        } else {
            (now > self.until.get()).then_some(Stopped::Cpu)
        };
        if now.saturating_sub(self.begun.get()) > YIELD_AFTER
            && now.saturating_sub(self.rested.get()) > YIELD_EVERY
        {
            self.rested.set(now);
            // Nobody wakes this thread for anything but its next command, which waits its turn.
            std::thread::park_timeout(YIELD_FOR);
        }
        self.stopped.set(why);
        why.is_some()
    }
}
