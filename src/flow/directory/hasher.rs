//! A bounded number of threads that hash passwords, and a bounded number of callers that wait for
//! them. The threads that serve requests never hash.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::account::Config;
use crate::account::Hashing;

use super::DirectoryError;

/// Hashes passwords.
#[derive(Debug)]
pub(super) struct Hasher {
    hashing: Arc<Hashing>,
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new(config: &Config) -> Self {
        let hashers = config.hashers.max(1);
        Self {
            hashing: Arc::new(Hashing::new(config)),
            threads: Arc::new(Semaphore::new(hashers)),
            places: Arc::new(Semaphore::new(hashers.saturating_add(config.waiting))),
        }
    }

    pub(super) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// A place among the callers that wait. Memory and time of a flood are bounded by it: beyond it
    /// callers are refused at once.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, DirectoryError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| DirectoryError::Busy)
    }

    /// Runs one piece of work on a thread for blocking work. A caller that is dropped leaves it to
    /// be completed, and it counts until it is.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hashing) -> T + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let thread = thread.map_err(|_| DirectoryError::Busy)?;
        let hashing = Arc::clone(&self.hashing);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&hashing);
            drop(thread);
            result
        });
        done.await.map_err(|_| DirectoryError::Unhashed)
    }
}
