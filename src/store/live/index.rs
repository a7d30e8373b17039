//! Ordered indexes of a store: sessions by id, and every entry by its deadline.

use std::collections::BTreeSet;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::store::live::Due;

/// The order of living sessions and of deadlines.
#[derive(Default)]
pub(super) struct Index {
    /// Nothing is ordered during a replay: sorting a million entries once is several times cheaper
    /// than inserting them one by one.
    asleep: bool,
    /// Living sessions, swept or not.
    pub(super) ids: BTreeSet<SessionId>,
    /// One deadline for each session, tombstone and token. That of a living session may be too
    /// early, never too late, because a request that uses a session does not move it (see
    /// `expiry`).
    deadlines: BTreeSet<(Timestamp, Due)>,
}

impl Index {
    pub(super) fn asleep() -> Self {
        Self { asleep: true, ..Self::default() }
    }

    pub(super) fn awake(ids: BTreeSet<SessionId>, deadlines: BTreeSet<(Timestamp, Due)>) -> Self {
        Self { asleep: false, ids, deadlines }
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }

    pub(super) fn created(&mut self, id: SessionId) {
        if !self.asleep {
            self.ids.insert(id);
        }
    }

    pub(super) fn schedule(&mut self, at: Timestamp, due: Due) {
        if !self.asleep {
            self.deadlines.insert((at, due));
        }
    }

    pub(super) fn unschedule(&mut self, at: Timestamp, due: Due) {
        self.deadlines.remove(&(at, due));
    }

    /// What is due at `now`, the oldest first.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = Due> {
        self.deadlines.iter().take_while(move |(at, _)| *at <= now).map(|(_, due)| *due)
    }
}
