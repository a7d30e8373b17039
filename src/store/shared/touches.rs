//! The uses of sessions on their way to the database, gathered so that a request that only reads
//! writes nothing itself.
//!
//! A use is known to this node at once and to the others a few seconds later. A node that dies in
//! between, or another node that judges in between, takes the session for unused that much longer:
//! of an idle timeout of an hour or more, these seconds are lost.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::SessionId;
use crate::base::Timestamp;

/// The time between two visits to the database.
pub(super) const TOUCH_PAUSE: Duration = Duration::from_secs(5);
/// Uses written in one step.
pub(super) const BATCH_MAX: usize = 512;
/// Uses that can be waiting; a request beyond that takes its own to the database.
const WAITING_MAX: usize = 65_536;

/// What has not been written yet.
#[derive(Debug, Default)]
pub(super) struct Touches(Mutex<HashMap<SessionId, Timestamp>>);

impl Touches {
    /// Takes note of a use; false if there is no room, and the caller must write it himself.
    pub(super) fn note(&self, id: SessionId, at: Timestamp) -> bool {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&id) {
            return false;
        }
        let last = waiting.entry(id).or_insert(at);
        *last = (*last).max(at);
        true
    }

    /// The last use that is on its way.
    pub(super) fn last(&self, id: SessionId) -> Option<Timestamp> {
        self.lock().get(&id).copied()
    }

    /// All that is waiting. It counts as waiting until [`Touches::done`].
    pub(super) fn waiting(&self) -> Vec<(SessionId, Timestamp)> {
        self.lock().iter().map(|(id, at)| (*id, *at)).collect()
    }

    /// Strikes out what was written, unless it was used again meanwhile.
    pub(super) fn done(&self, batch: &[(SessionId, Timestamp)]) {
        let mut waiting = self.lock();
        for (id, at) in batch {
            if waiting.get(id) == Some(at) {
                waiting.remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Timestamp>> {
        // Moments only, each whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
