//! Who waits in this process for the answer to a callback, and how they are woken.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::base::Digest;

/// Requests that bring one token at once and may wait for each other; further ones are told to
/// come back.
pub(crate) const SEATS_PER_TOKEN_MAX: usize = 64;

/// The tokens of the requests that run a callback or wait for its answer.
///
/// A token is in it as long as one of its seats lives, so that nothing is left of requests
/// that were given up.
#[derive(Default)]
pub struct Runs {
    benches: Mutex<HashMap<Digest, Bench>>,
}

/// The seats of one token.
struct Bench {
    seats: usize,
    shared: Arc<Shared>,
}

/// What the seats of one token share.
#[derive(Default)]
struct Shared {
    bell: Notify,
    /// Whether one of them runs the callback.
    is_run: AtomicBool,
}

/// The place of one request beside the others that bring the same token.
pub(crate) struct Seat {
    runs: Arc<Runs>,
    token: Digest,
    shared: Arc<Shared>,
    /// Whether this request runs the callback.
    runs_it: bool,
}

impl Runs {
    /// A seat for a request that brings this token; `None` if there are too many already.
    pub(crate) fn seat(self: &Arc<Self>, token: Digest) -> Option<Seat> {
        let mut benches = self.lock();
        let empty = || Bench { seats: 0, shared: Arc::default() };
        let bench = benches.entry(token).or_insert_with(empty);
        if bench.seats >= SEATS_PER_TOKEN_MAX {
            return None;
        }
        bench.seats += 1;
        let shared = Arc::clone(&bench.shared);
        Some(Seat { runs: Arc::clone(self), token, shared, runs_it: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Bench>> {
        // Every change is a single step, so a panic elsewhere leaves nothing half done.
        self.benches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Ends when one of the others rings, counted from this call and not from the first poll:
    /// whoever asks the store in between misses nothing.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.shared.bell.notified()
    }

    /// Whether a request in this process runs the callback.
    pub(crate) fn is_run_here(&self) -> bool {
        self.shared.is_run.load(Ordering::SeqCst)
    }

    /// The seat of the request that runs the callback, until it rings.
    pub(crate) fn that_runs(mut self) -> Self {
        self.runs_it = true;
        self.shared.is_run.store(true, Ordering::SeqCst);
        self
    }

    /// Wakes the others: there is an answer, or there will be none from this one.
    pub(crate) fn ring(&self) {
        if self.runs_it {
            self.shared.is_run.store(false, Ordering::SeqCst);
        }
        self.shared.bell.notify_waiters();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut benches = self.runs.lock();
        if let Some(bench) = benches.get_mut(&self.token) {
            bench.seats -= 1;
            if bench.seats == 0 {
                benches.remove(&self.token);
            }
        }
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runs({} tokens)", self.lock().len())
    }
}

/// The fingerprint only.
impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.token.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Digest = Digest::from_bytes([1; 32]);

    #[tokio::test]
    async fn who_rings_wakes_the_others_even_before_they_listen() {
        let runs = Arc::new(Runs::default());
        let (runner, waiter) = (runs.seat(TOKEN).unwrap(), runs.seat(TOKEN).unwrap());
        let news = waiter.news();
        runner.ring();
        news.await;
    }

    #[test]
    fn all_know_whether_one_of_them_runs() {
        let runs = Arc::new(Runs::default());
        let (runner, waiter) = (runs.seat(TOKEN).unwrap(), runs.seat(TOKEN).unwrap());
        assert!(!waiter.is_run_here());
        let runner = runner.that_runs();
        assert!(waiter.is_run_here() && runs.seat(TOKEN).unwrap().is_run_here());
        runner.ring();
        assert!(!waiter.is_run_here());
    }

    #[test]
    fn nothing_is_left_of_seats_and_their_number_is_bounded() {
        let runs = Arc::new(Runs::default());
        let seats: Vec<_> = (0..SEATS_PER_TOKEN_MAX).map(|_| runs.seat(TOKEN).unwrap()).collect();
        assert!(runs.seat(TOKEN).is_none());
        assert!(runs.seat(Digest::from_bytes([2; 32])).is_some());
        assert_eq!(format!("{runs:?}"), "Runs(1 tokens)");
        drop(seats);
        assert_eq!(format!("{runs:?}"), "Runs(0 tokens)");
        assert!(runs.seat(TOKEN).is_some());
    }
}
