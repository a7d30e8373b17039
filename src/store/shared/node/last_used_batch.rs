//! Pending uses of sessions, collected so that a request that only reads writes nothing itself.
//!
//! A use is known to this node at once and to the others a few seconds later. If this node dies in
//! between, or another node checks the session in between, the session counts as unused for that
//! much longer. This costs a few seconds of an idle timeout of an hour or more.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::SessionId;
use crate::base::Timestamp;

/// The time between two writes to the database.
pub(crate) const TOUCH_PAUSE: Duration = Duration::from_secs(5);
/// Uses written in one step.
pub(crate) const BATCH_MAX: usize = 512;
/// Maximum number of pending uses. A request beyond that writes its own use to the database.
const WAITING_MAX: usize = 65_536;

/// What has not been written yet.
#[derive(Debug, Default)]
pub(crate) struct LastUsedBatch(Mutex<HashMap<SessionId, Timestamp>>);

impl LastUsedBatch {
    /// Notes a use. Returns false if there is no room, and the caller must write it itself.
    pub(crate) fn note(&self, id: SessionId, at: Timestamp) -> bool {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&id) {
            return false;
        }
        let last = waiting.entry(id).or_insert(at);
        *last = (*last).max(at);
        true
    }

    /// The latest pending use of a session.
    pub(crate) fn last(&self, id: SessionId) -> Option<Timestamp> {
        self.lock().get(&id).copied()
    }

    /// All pending uses. They remain pending until [`LastUsedBatch::done`].
    pub(crate) fn waiting(&self) -> Vec<(SessionId, Timestamp)> {
        self.lock().iter().map(|(id, at)| (*id, *at)).collect()
    }

    /// Removes what was written, unless it was used again meanwhile.
    pub(crate) fn done(&self, batch: &[(SessionId, Timestamp)]) {
        let mut waiting = self.lock();
        for (id, at) in batch {
            if waiting.get(id) == Some(at) {
                waiting.remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Timestamp>> {
        // Independent times, so a panic in between leaves no inconsistency.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
