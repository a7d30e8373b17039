//! A bounded number of threads that hash passwords, and a bounded number of callers that wait for
//! them. The threads that serve requests never hash.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::account::Config;
use crate::account::Hashing;

use super::DirectoryError;

/// One client may have one of this many parts of all places.
const SHARE: usize = 4;

/// Hashes passwords.
#[derive(Debug)]
pub(super) struct Hasher {
    hashing: Arc<Hashing>,
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
    held: Arc<Held>,
    /// Places that one client may have.
    share: usize,
}

/// How many places each client has.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<IpAddr, usize>>);

/// A place among the callers that wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _part: Option<Part>,
}

/// The same as a part of what its client may have.
#[derive(Debug)]
struct Part {
    held: Arc<Held>,
    client: IpAddr,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        match held.get_mut(&self.client) {
            Some(places) if *places > 1 => *places -= 1,
            _ => drop(held.remove(&self.client)),
        }
    }
}

impl Hasher {
    pub(super) fn new(config: &Config) -> Self {
        let hashers = config.hashers.max(1);
        let places = hashers.saturating_add(config.waiting);
        Self {
            hashing: Arc::new(Hashing::new(config)),
            threads: Arc::new(Semaphore::new(hashers)),
            places: Arc::new(Semaphore::new(places)),
            held: Arc::default(),
            share: (places / SHARE).max(1),
        }
    }

    pub(super) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// A place among the callers that wait. Memory and time of a flood are bounded by it: beyond it
    /// callers are refused at once, and a client beyond its share is, so that it leaves room for
    /// others.
    pub(super) fn place(&self, client: Option<IpAddr>) -> Result<Place, DirectoryError> {
        let part = client.map(|client| self.part(client)).transpose()?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        Ok(Place { _place: place.map_err(|_| DirectoryError::Busy)?, _part: part })
    }

    fn part(&self, client: IpAddr) -> Result<Part, DirectoryError> {
        let mut held = self.held.lock();
        let places = held.entry(client).or_default();
        if *places >= self.share {
            return Err(DirectoryError::Busy);
        }
        *places += 1;
        Ok(Part { held: Arc::clone(&self.held), client })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_quarter_of_the_places_and_gives_them_back() {
        let hasher = Hasher::new(&Config { hashers: 1, waiting: 15, ..Config::default() });
        let clients: Vec<IpAddr> = (1..=5).map(|last| [192, 0, 2, last].into()).collect();
        let mut held = Vec::new();
        for client in &clients[..4] {
            held.extend((0..4).map(|_| hasher.place(Some(*client)).unwrap()));
            assert!(matches!(hasher.place(Some(*client)), Err(DirectoryError::Busy)));
        }
        assert!(hasher.place(Some(clients[4])).is_err(), "every place is taken");
        assert!(hasher.place(None).is_err());
        held.clear();
        assert!(hasher.held.lock().is_empty(), "nothing is kept of a client that does not wait");
        held.extend((0..16).map(|_| hasher.place(None).unwrap()));
    }
}
