//! One lane for each session that was used lately: whoever writes waits his turn in it, and finds
//! there what the session was like when this node saw it last.
//!
//! Both are for speed alone. Without the turn, many writers of one session would have each other
//! read again and again; without the memory, every write would read first. What is right is
//! decided by the version that a commit expects.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::base::SessionId;
use crate::store::shared::piece::Piece;

/// Lanes of one generation; there are two at most.
const LANES_MAX: usize = 4_096;
/// Bytes of what one generation remembers, about.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// All lanes of a node. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<Generations>);

/// What was used since the last turn of generations, and before it.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<SessionId, Arc<Lane>>,
    old: HashMap<SessionId, Arc<Lane>>,
    bytes: usize,
}

/// The lane of one session.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Held while this node writes the session.
    pub(super) turn: tokio::sync::Mutex<()>,
    known: Mutex<Option<Arc<Piece>>>,
}

impl Lanes {
    /// The lane of a session.
    pub(super) fn enter(&self, id: SessionId) -> Arc<Lane> {
        self.lock().enter(id)
    }

    /// Remembers a session. Of two that come at once either may stay: the next commit tells.
    pub(super) fn remember(&self, piece: Piece) {
        let bytes = piece.bytes();
        let lane = {
            let mut generations = self.lock();
            generations.bytes += bytes;
            generations.enter(piece.id)
        };
        *lane.lock() = Some(Arc::new(piece));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // What is remembered is checked by every commit, so a panic in between spoils nothing.
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
    /// The session as it was when this node saw it last.
    pub(super) fn known(&self) -> Option<Arc<Piece>> {
        self.lock().clone()
    }

    /// Forgets it: somebody else has changed it, or nobody knows whether a write was done.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Piece>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
