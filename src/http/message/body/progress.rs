//! When something moved last, for waits that end only where nothing moves any more.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::clock::Stopwatch;

/// The moment of the last movement; clones share it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Stopwatch>>);

impl Progress {
    /// It has just moved.
    pub fn start() -> Self {
        Self(Arc::new(Mutex::new(Stopwatch::start())))
    }

    /// It moves now.
    pub fn moved(&self) {
        *self.last() = Stopwatch::start();
    }

    /// Done once nothing has moved for as long as `patience`.
    pub async fn stands(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.last().elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn last(&self) -> MutexGuard<'_, Stopwatch> {
        // A stopwatch cannot be left half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
