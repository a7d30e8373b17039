//! Watching the right of a request that goes on after its response has begun: a tunnel, a stream of
//! events.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;

use crate::base::SessionId;
use crate::flow::session::Bound;
use crate::flow::session::Session;
use crate::flow::session::state::Phase;
use crate::store::port::Checked;

/// The watchers of this node, by session. Only sessions with watchers have an entry.
#[derive(Default)]
pub struct Watchers(Mutex<HashMap<SessionId, (usize, Arc<Notify>)>>);

/// One watcher.
struct Watcher<'w> {
    watchers: &'w Watchers,
    id: SessionId,
    changed: Arc<Notify>,
}

impl Watchers {
    /// Makes all watchers of this session check at once: this node has ended rights to it.
    pub(crate) fn wake(&self, id: SessionId) {
        if let Some((_, changed)) = self.lock().get(&id) {
            changed.notify_waiters();
        }
    }

    fn watch(&self, id: SessionId) -> Watcher<'_> {
        let mut all = self.lock();
        let (count, changed) = all.entry(id).or_default();
        *count += 1;
        Watcher { watchers: self, id, changed: Arc::clone(changed) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (usize, Arc<Notify>)>> {
        // Every change is a single step, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let mut all = self.watchers.lock();
        if let Some((count, _)) = all.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.id);
            }
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watchers({} sessions)", self.lock().len())
    }
}

impl Session {
    /// Completes once the right of the request, or its session, has ended. The store is queried at
    /// once, each time this node ends rights to the session, and at intervals, because other nodes
    /// end rights too. None of these queries counts as use. An error of the store ends nothing.
    pub(crate) async fn right_ended(&self, every: Duration) {
        loop {
            let (id, _) = self.working();
            let watcher = self.sessions.watchers.watch(id);
            // From here on nothing that wakes is missed, though it is not polled yet.
            let changed = watcher.changed.notified();
            if self.has_lost_its_right().await {
                return;
            }
            let _ = tokio::time::timeout(every, changed).await;
        }
    }

    async fn has_lost_its_right(&self) -> bool {
        let _right = self.request.share_right().await;
        let (id, right) = self.working();
        if self.lock().phase == Phase::Ended {
            return true;
        }
        match self.sessions.store.look(self.sessions.clock.now(), id, right).await {
            Ok(Checked::Done(_)) | Err(_) => false,
            Ok(Checked::Replaced) => true,
            // A guest is not stored until its first write.
            Ok(Checked::Gone) => matches!(self.lock().bound, Bound::Open { .. }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId::from_bytes([1; 16]);

    #[tokio::test]
    async fn who_watches_is_woken_even_before_he_waits_and_nothing_is_left_of_him() {
        let watchers = Watchers::default();
        let (one, other) = (watchers.watch(ID), watchers.watch(ID));
        let changed = one.changed.notified();
        watchers.wake(ID);
        changed.await;
        assert_eq!(format!("{watchers:?}"), "Watchers(1 sessions)");
        drop((one, other));
        assert_eq!(format!("{watchers:?}"), "Watchers(0 sessions)");
    }
}
