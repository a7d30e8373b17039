//! One entry for each session that was used recently. It bounds the operations on the session that
//! run or wait in this node, so that one session cannot hold up all others. Writers of a session
//! wait for each other there, and find the state of the session as this node saw it last.
//!
//! The last two only serve speed. Without the lock, concurrent writers of one session would make each
//! other read again and again. Without the cached state, every write would read first. Correctness
//! rests on the version that a commit expects.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::MutexGuard as Turn;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::base::SessionId;
use crate::store::error::StoreError;
use crate::store::shared::snapshot::Snapshot;

/// Entries of one generation. There are two generations at most.
const ENTRIES_MAX: usize = 4_096;
/// Operations on one session that run or wait at once; more are refused. Far less than those on all
/// sessions ([`shared`](crate::store::shared)).
const OPERATIONS_MAX: usize = 512;
/// How long an operation waits for others on its session. Nothing of it was sent until then.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Approximate bytes of cached state in one generation.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// All entries of a node. The oldest are forgotten.
#[derive(Debug, Default)]
pub(crate) struct SessionCache(Mutex<Generations>);

/// What was used since the last change of generations, and before it.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<SessionId, Arc<CachedSession>>,
    old: HashMap<SessionId, Arc<CachedSession>>,
    bytes: usize,
}

/// The entry of one session.
#[derive(Debug)]
pub(crate) struct CachedSession {
    room: Semaphore,
    /// Held while this node writes the session.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Option<Arc<Snapshot>>>,
}

impl SessionCache {
    /// The entry of a session.
    pub(crate) fn enter(&self, id: SessionId) -> Arc<CachedSession> {
        self.lock().enter(id)
    }

    /// Caches a session. Of two concurrent calls either may win, because the next commit checks
    /// the state.
    pub(crate) fn remember(&self, snapshot: Snapshot) {
        let bytes = snapshot.bytes();
        let cached = {
            let mut generations = self.lock();
            generations.bytes += bytes;
            generations.enter(snapshot.state.id)
        };
        *cached.lock() = Some(Arc::new(snapshot));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Every commit checks the cached state, so a panic in between does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn enter(&mut self, id: SessionId) -> Arc<CachedSession> {
        if let Some(cached) = self.young.get(&id) {
            return Arc::clone(cached);
        }
        if self.young.len() >= ENTRIES_MAX || self.bytes > BYTES_MAX {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        let cached = self.old.remove(&id).unwrap_or_default();
        self.young.insert(id, Arc::clone(&cached));
        cached
    }
}

impl Default for CachedSession {
    fn default() -> Self {
        let room = Semaphore::new(OPERATIONS_MAX);
        Self { room, turn: tokio::sync::Mutex::default(), known: Mutex::default() }
    }
}

impl CachedSession {
    /// Admits an operation on the session.
    pub(crate) fn admit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.room.try_acquire().map_err(|_| StoreError::Refused("too many requests of one session"))
    }

    /// Waits for the writers of the session that came before, at most [`TURN_TIMEOUT`]: each of them
    /// may wait for a database that hangs.
    pub(crate) async fn turn(&self) -> Result<Turn<'_, ()>, StoreError> {
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.turn.lock()).await;
        turn.map_err(|_| StoreError::Refused("too many requests of one session"))
    }

    /// The session as this node saw it last.
    pub(crate) fn known(&self) -> Option<Arc<Snapshot>> {
        self.lock().clone()
    }

    /// Drops the cached state, because another node has changed the session or the outcome of a
    /// write is unknown.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
