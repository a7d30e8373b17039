//! The CPU budget of the running call, and what stops the call when it is used up.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::base::clock::{Stopwatch, thread_time};

/// A slice that has run this long pauses regularly. Otherwise the thread of another class that
/// becomes runnable on the same core waits some milliseconds until the scheduler preempts this one.
/// `yield_now` does not help, because the scheduler may pick the same thread again.
const PAUSE_AFTER: Duration = Duration::from_millis(2);
/// CPU time between two pauses, and the minimum length of a pause.
const PAUSE_INTERVAL: Duration = Duration::from_micros(150);
const PAUSE: Duration = Duration::from_micros(50);

/// Measures one slice at a time. The engine calls it some ten thousand times per second to find out
/// whether to continue.
#[derive(Default)]
pub(crate) struct CpuBudget {
    /// Wall-clock time of the slice. It is cheaper to read than the CPU time, which is never more.
    watch: Cell<Option<Stopwatch>>,
    /// The CPU time is not read before this much wall-clock time has passed.
    check_after: Cell<Duration>,
    /// Start and end of the slice, in CPU time of this thread.
    started_at: Cell<Duration>,
    deadline: Cell<Duration>,
    /// When the slice last paused.
    paused_at: Cell<Duration>,
    /// Set by the task that waits for the call when it no longer does.
    cancelled: RefCell<Option<Arc<AtomicBool>>>,
    stopped: Cell<Option<Stopped>>,
}

/// Why a call was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The CPU time of the call is used up.
    Cpu,
    /// The client disconnected, or the call timed out.
    Cancelled,
    /// It waits while holding too much memory.
    Memory,
}

impl CpuBudget {
    /// Starts a slice of at most `left`, which also ends when `cancelled` is set.
    pub(crate) fn begin(&self, left: Duration, cancelled: Option<Arc<AtomicBool>>) {
        let now = thread_time();
        self.watch.set(Some(Stopwatch::start()));
        self.check_after.set(left.min(PAUSE_AFTER));
        self.started_at.set(now);
        self.paused_at.set(now);
        self.deadline.set(now.saturating_add(left));
        self.cancelled.replace(cancelled);
        self.stopped.set(None);
    }

    /// Ends the slice. Returns the CPU time it took, and why it was stopped if it was.
    pub(crate) fn end(&self) -> (Duration, Option<Stopped>) {
        let used = thread_time().saturating_sub(self.started_at.get());
        self.deadline.set(Duration::MAX);
        self.cancelled.replace(None);
        (used, self.stopped.take())
    }

    /// Whether the slice must stop. Once true, it stays true until the next slice starts.
    pub(crate) fn must_stop(&self) -> bool {
        if self.stopped.get().is_some() {
            return true;
        }
        let cancelled =
            self.cancelled.borrow().as_ref().is_some_and(|cancelled| cancelled.load(Relaxed));
        let is_new = self.watch.get().is_some_and(|watch| watch.elapsed() < self.check_after.get());
        if is_new && !cancelled {
            return false;
        }
        let now = thread_time();
        let why = if cancelled {
            Some(Stopped::Cancelled)
        } else {
            (now > self.deadline.get()).then_some(Stopped::Cpu)
        };
        if now.saturating_sub(self.started_at.get()) > PAUSE_AFTER
            && now.saturating_sub(self.paused_at.get()) > PAUSE_INTERVAL
        {
            self.paused_at.set(now);
            // The thread is unparked only for its next command, which stays in the queue.
            std::thread::park_timeout(PAUSE);
        }
        self.stopped.set(why);
        why.is_some()
    }
}
