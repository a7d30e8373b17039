//! Requests of this process that wait for the response to the same callback, and how they are
//! woken.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

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
    notify: Arc<Notify>,
}

/// One request beside the others with the same token.
pub(crate) struct CallbackWaiter {
    all: Arc<Waiters>,
    token: Digest,
    notify: Arc<Notify>,
}

impl Waiters {
    /// A waiter for a request with this token; `None` if there are too many already.
    pub(crate) fn waiter(self: &Arc<Self>, token: Digest) -> Option<CallbackWaiter> {
        let mut tokens = self.lock();
        let empty = || TokenWaiters { waiters: 0, notify: Arc::new(Notify::new()) };
        let waiting = tokens.entry(token).or_insert_with(empty);
        if waiting.waiters >= WAITERS_PER_TOKEN_MAX {
            return None;
        }
        waiting.waiters += 1;
        Some(CallbackWaiter { all: Arc::clone(self), token, notify: Arc::clone(&waiting.notify) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, TokenWaiters>> {
        // Every change is a single step, so a panic elsewhere leaves nothing half done.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallbackWaiter {
    /// Completes when another waiter notifies, counted from this call and not from the first poll,
    /// so that nothing is missed while the store is asked in between.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Wakes the others: there is a response, or this request will not make one.
    pub(crate) fn notify(&self) {
        self.notify.notify_waiters();
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
