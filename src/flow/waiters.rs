//! Requests of this process that wait for the response to the same callback, and how they are
//! woken.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::base::Digest;

/// Requests with one token that may wait for each other at once; further ones get an error with
/// `Retry-After`.
pub(crate) const WAITERS_PER_TOKEN_MAX: usize = 64;

/// The tokens of the requests that run a callback or wait for its response.
///
/// A token is in it as long as one of its waiters is alive, so that abandoned requests leave
/// nothing behind.
#[derive(Default)]
pub struct Waiters {
    tokens: Mutex<HashMap<Digest, TokenWaiters>>,
}

/// The waiters of one token.
struct TokenWaiters {
    waiters: usize,
    shared: Arc<Shared>,
}

/// What the waiters of one token share.
#[derive(Default)]
struct Shared {
    notify: Notify,
    /// How many of them run the callback: one, and for a moment the one before it as well.
    runners: AtomicUsize,
}

/// One request beside the others with the same token.
pub(crate) struct CallbackWaiter {
    all: Arc<Waiters>,
    token: Digest,
    shared: Arc<Shared>,
    /// Whether this request runs the callback.
    is_runner: AtomicBool,
}

impl Waiters {
    /// A waiter for a request with this token; `None` if there are too many already.
    pub(crate) fn waiter(self: &Arc<Self>, token: Digest) -> Option<CallbackWaiter> {
        let mut tokens = self.lock();
        let empty = || TokenWaiters { waiters: 0, shared: Arc::default() };
        let waiting = tokens.entry(token).or_insert_with(empty);
        if waiting.waiters >= WAITERS_PER_TOKEN_MAX {
            return None;
        }
        waiting.waiters += 1;
        let shared = Arc::clone(&waiting.shared);
        Some(CallbackWaiter {
            all: Arc::clone(self),
            token,
            shared,
            is_runner: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, TokenWaiters>> {
        // Every change is a single step, so a panic elsewhere leaves nothing half done.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallbackWaiter {
    /// Completes when another waiter notifies, counted from this call and not from the first poll,
    /// so that no notification is missed during a query of the store in between.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.shared.notify.notified()
    }

    /// Whether a request in this process runs the callback.
    pub(crate) fn is_run_here(&self) -> bool {
        self.shared.runners.load(Ordering::SeqCst) > 0
    }

    /// The waiter of the request that runs the callback, until it notifies.
    pub(crate) fn into_runner(self) -> Self {
        if !self.is_runner.swap(true, Ordering::SeqCst) {
            self.shared.runners.fetch_add(1, Ordering::SeqCst);
        }
        self
    }

    /// Wakes the others: there is a response, or this request will not make one.
    pub(crate) fn notify(&self) {
        if self.is_runner.swap(false, Ordering::SeqCst) {
            self.shared.runners.fetch_sub(1, Ordering::SeqCst);
        }
        self.shared.notify.notify_waiters();
    }
}

impl Drop for CallbackWaiter {
    fn drop(&mut self) {
        let mut tokens = self.all.lock();
        if let Some(waiting) = tokens.get_mut(&self.token) {
            waiting.waiters -= 1;
            if waiting.waiters == 0 {
                tokens.remove(&self.token);
            }
        }
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiters({} tokens)", self.lock().len())
    }
}

/// The fingerprint only.
impl fmt::Debug for CallbackWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackWaiter({})", self.token.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Digest = Digest::from_bytes([1; 32]);

    #[tokio::test]
    async fn who_rings_wakes_the_others_even_before_they_listen() {
        let runs = Arc::new(Waiters::default());
        let (runner, waiter) = (runs.waiter(TOKEN).unwrap(), runs.waiter(TOKEN).unwrap());
        let news = waiter.news();
        runner.notify();
        news.await;
    }

    #[test]
    fn all_know_whether_one_of_them_runs() {
        let waiters = Arc::new(Waiters::default());
        let (runner, waiter) = (waiters.waiter(TOKEN).unwrap(), waiters.waiter(TOKEN).unwrap());
        assert!(!waiter.is_run_here());
        let runner = runner.into_runner();
        assert!(waiter.is_run_here() && waiters.waiter(TOKEN).unwrap().is_run_here());
        // The next one runs before the one before it is dropped.
        let next = waiters.waiter(TOKEN).unwrap().into_runner();
        runner.notify();
        runner.notify();
        assert!(waiter.is_run_here());
        next.notify();
        assert!(!waiter.is_run_here());
    }

    #[test]
    fn nothing_is_left_of_waiters_and_their_number_is_bounded() {
        let runs = Arc::new(Waiters::default());
        let waiters: Vec<_> =
            (0..WAITERS_PER_TOKEN_MAX).map(|_| runs.waiter(TOKEN).unwrap()).collect();
        assert!(runs.waiter(TOKEN).is_none());
        assert!(runs.waiter(Digest::from_bytes([2; 32])).is_some());
        assert_eq!(format!("{runs:?}"), "Waiters(1 tokens)");
        drop(waiters);
        assert_eq!(format!("{runs:?}"), "Waiters(0 tokens)");
        assert!(runs.waiter(TOKEN).is_some());
    }
}
