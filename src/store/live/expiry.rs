//! Removal of expired sessions, tombstones and old tokens.
//!
//! A request that uses a session does not move its deadline, so a deadline that is reached may be
//! out of date. The sweep then checks the session and sets a new deadline. Each session costs one
//! change of the index per idle timeout, however many requests use it.

use std::sync::Arc;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::store::live::Change;
use crate::store::live::Decided;
use crate::store::live::Due;
use crate::store::live::Held;
use crate::store::live::Index;
use crate::store::live::Live;

/// Deadlines that one sweep postpones for each record it may drop. All sessions of a full store
/// become due once per idle timeout, an hour at least, and a sweep runs every ten seconds: 2,800
/// of a million sessions, against 16 times 512.
const POSTPONED_PER_RECORD: usize = 16;

impl Live {
    /// Drops up to `at_most` records that are no longer needed.
    ///
    /// A session that expired becomes a tombstone: its data is dropped, its id is remembered.
    pub(crate) fn sweep(&self, now: Timestamp, at_most: usize) -> Decided {
        let changes = self.overdue(now, at_most);
        let postponed =
            changes.iter().filter(|change| matches!(change, Change::Postponed { .. })).count();
        let dropped = changes.len() - postponed;
        Decided::with(changes, dropped)
    }

    /// The changes of one sweep.
    pub(super) fn overdue(&self, now: Timestamp, at_most: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut dropped = 0;
        let visits = at_most.saturating_mul(POSTPONED_PER_RECORD);
        for due in self.index.overdue(now).take(visits) {
            if dropped == at_most {
                break;
            }
            let change = self.take_up(now, due);
            dropped += usize::from(!matches!(change, Change::Postponed { .. }));
            changes.push(change);
        }
        changes
    }

    fn take_up(&self, now: Timestamp, due: Due) -> Change {
        match due {
            Due::Session(id) => match self.sessions.get(&id) {
                Some(Held::Living(living)) if living.is_live(now) => Change::Postponed { id },
                Some(Held::Living(_)) => Change::Ended { id, at: now },
                Some(Held::Ended(_)) | None => Change::Forgotten { due },
            },
            Due::Token(_) => Change::Forgotten { due },
        }
    }

    /// Prepares a replayed state for use. It drops expired entries, moves the last-used time of
    /// each session to the latest that may have been lost (unless the store was closed cleanly),
    /// and marks every run in progress as cut off, because the one process that ran them is gone.
    pub(crate) fn wake(&mut self) {
        let rested = self.rested;
        for held in self.sessions.values_mut().filter(|_| !rested) {
            if let Held::Living(living) = held {
                let lag = living.record.lifetime.touch_lag();
                living.seen_at = living.seen_at.max(living.saved_at.after(lag));
            }
        }
        for held in self.tokens.values_mut() {
            held.cut_off();
        }
        let living = |(id, held): (&SessionId, &Held)| match held {
            Held::Living(_) => Some(*id),
            Held::Ended(_) => None,
        };
        let sessions = self.sessions.iter().map(|(id, held)| (held.due_at(), Due::Session(*id)));
        let tokens = self.tokens.iter().map(|(digest, held)| (held.due_at, Due::Token(*digest)));
        let ids = self.sessions.iter().filter_map(living).collect();
        self.index = Index::awake(ids, sessions.chain(tokens).collect());
        let now = self.latest;
        let over: Vec<Change> = self
            .index
            .overdue(now)
            .map(|due| self.take_up(now, due))
            // An expired session is ended by an operation or a sweep, which record that.
            .filter(|change| matches!(change, Change::Forgotten { .. }))
            .collect();
        for change in &over {
            self.apply(0, change);
        }
        self.place_all();
        self.rested = rested;
    }

    /// Up to `at_most` uses that a restart would not find.
    pub(crate) fn unsaved(&self, at_most: usize) -> Vec<Change> {
        let living = self.sessions.iter().filter_map(|(id, held)| match held {
            Held::Living(living) if living.seen_at > living.saved_at => {
                Some(Change::Seen { id: *id, at: living.seen_at })
            }
            Held::Living(_) | Held::Ended(_) => None,
        });
        living.take(at_most).collect()
    }

    /// Whether the store was closed cleanly and nothing has happened since.
    pub(crate) fn is_rested(&self) -> bool {
        self.rested
    }

    /// The full copy of a session, tombstone or token, if a replay takes it from row `row`. From
    /// now on that is row `to`. `None` if a replay can do without the row.
    pub(crate) fn rehome(&mut self, due: Due, row: u64, to: u64) -> Option<Change> {
        match due {
            Due::Session(id) => match self.sessions.get_mut(&id)? {
                Held::Living(living) if living.rows.home == row => {
                    living.rows.home = to;
                    let record = Arc::clone(&living.record);
                    // A copy includes every change so far, and none is in progress.
                    Some(Change::Founded { record, seen_at: living.saved_at })
                }
                Held::Ended(tombstone) if tombstone.rows.home == row => {
                    tombstone.rows.home = to;
                    Some(Change::Ended { id, at: tombstone.ended_at })
                }
                Held::Living(_) | Held::Ended(_) => None,
            },
            Due::Token(digest) => {
                let held = self.tokens.get_mut(&digest).filter(|held| held.rows.home == row)?;
                held.rows.home = to;
                Some(Change::Minted { token: Arc::clone(&held.token) })
            }
        }
    }
}
