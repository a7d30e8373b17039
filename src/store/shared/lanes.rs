//! One entry for each session that was used recently. Writers of a session wait for each other
//! there, and find the state of the session as this node saw it last.
//!
//! Both only serve speed. Without the lock, concurrent writers of one session would make each
//! other read again and again. Without the cached state, every write would read first. Correctness
//! rests on the version that a commit expects.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::base::SessionId;
use crate::store::shared::snapshot::Snapshot;

/// Entries of one generation. There are two generations at most.
const LANES_MAX: usize = 4_096;
/// Approximate bytes of cached state in one generation.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// All entries of a node. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<Generations>);

/// What was used since the last change of generations, and before it.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<SessionId, Arc<Lane>>,
    old: HashMap<SessionId, Arc<Lane>>,
    bytes: usize,
}

/// The entry of one session.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Held while this node writes the session.
    pub(super) turn: tokio::sync::Mutex<()>,
    known: Mutex<Option<Arc<Snapshot>>>,
}

impl Lanes {
    /// The entry of a session.
    pub(super) fn enter(&self, id: SessionId) -> Arc<Lane> {
        self.lock().enter(id)
    }

    /// Caches a session. Of two concurrent calls either may win, because the next commit checks
    /// the state.
    pub(super) fn remember(&self, snapshot: Snapshot) {
        let bytes = snapshot.bytes();
        let lane = {
            let mut generations = self.lock();
            generations.bytes += bytes;
            generations.enter(snapshot.state.id)
        };
        *lane.lock() = Some(Arc::new(snapshot));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Every commit checks the cached state, so a panic in between does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn enter(&mut self, id: SessionId) -> Arc<Lane> {
        if let Some(lane) = self.young.get(&id) {
            return Arc::clone(lane);
        }
        if self.young.len() >= LANES_MAX || self.bytes > BYTES_MAX {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        let lane = self.old.remove(&id).unwrap_or_default();
        self.young.insert(id, Arc::clone(&lane));
        lane
    }
}

impl Lane {
    /// The session as this node saw it last.
    pub(super) fn known(&self) -> Option<Arc<Snapshot>> {
        self.lock().clone()
    }

    /// Drops the cached state, because another node has changed the session or the outcome of a
    /// write is unknown.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
