//! Removal of expired sessions, tombstones and old tokens.
//!
//! A request that uses a session does not move its deadline, so a deadline that is reached may be
//! out of date. The sweep then checks the session and sets a new deadline. Each session costs one
//! change of the index per idle timeout, however many requests use it.

use std::sync::Arc;

use crate::base::Timestamp;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::Due;
use crate::store::live::HeldToken;
use crate::store::live::Index;
use crate::store::live::Life;
use crate::store::live::SessionState;
use crate::store::live::StateMachine;
use crate::token::RunStage;

/// Deadlines that one sweep postpones for each record it may drop. All sessions of a full store
/// become due once per idle timeout, an hour at least, and a sweep runs every ten seconds: 2,800
/// of a million sessions, against 16 times 512.
const POSTPONED_PER_RECORD: usize = 16;

impl HeldToken {
    /// Marks a run that was in progress as one whose process died.
    fn cut_off(&mut self) {
        if !matches!(&self.token.run, Some(run) if run.stage == RunStage::Running) {
            return;
        }
        if let Some(run) = &mut Arc::make_mut(&mut self.token).run {
            run.stage = RunStage::Interrupted;
        }
    }
}

impl StateMachine {
    /// Drops up to `at_most` records that are no longer needed.
    ///
    /// A session that expired becomes a tombstone: its data is dropped, its id is remembered.
    pub(crate) fn sweep(&self, now: Timestamp, at_most: usize) -> Decision {
        let changes = self.overdue(now, at_most);
        let postponed =
            changes.iter().filter(|change| matches!(change, Change::Postponed { .. })).count();
        let dropped = changes.len() - postponed;
        Decision::with(changes, dropped)
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
            Due::Session(id) => match self.sessions.get(&id).map(|entry| &entry.state) {
                Some(state) if state.living(now).is_some() => Change::Postponed { id },
                Some(SessionState { life: Life::Living(_), .. }) => Change::Ended { id, at: now },
                _ => Change::Forgotten { due },
            },
            Due::Token(_) => Change::Forgotten { due },
        }
    }

    /// Prepares a replayed state for use. It drops expired entries, moves the last-used time of
    /// each session to the latest that may have been lost (unless the store was closed cleanly),
    /// and marks every run in progress as cut off, because the one process that ran them is gone.
    pub(crate) fn wake(&mut self) {
        let rested = self.rested;
        for entry in self.sessions.values_mut().filter(|_| !rested) {
            if let Some(lag) = entry.record().map(|record| record.lifetime.touch_lag()) {
                entry.state.seen_at = entry.state.seen_at.max(entry.saved_at.after(lag));
            }
        }
        for held in self.tokens.values_mut() {
            held.cut_off();
        }
        let known = self.sessions.iter().filter(|(_, it)| !matches!(it.state.life, Life::Absent));
        let sessions = known.map(|(id, entry)| (entry.due_at, Due::Session(*id)));
        let tokens = self.tokens.iter().map(|(digest, held)| (held.due_at, Due::Token(*digest)));
        let living = self.sessions.iter().filter(|(_, entry)| entry.record().is_some());
        let ids = living.map(|(id, _)| *id).collect();
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
        let living = self.sessions.values().filter(|entry| entry.record().is_some());
        let unsaved = living.filter(|entry| entry.state.seen_at > entry.saved_at);
        let seen = unsaved.map(|it| Change::Seen { id: it.state.id, at: it.state.seen_at });
        seen.take(at_most).collect()
    }

    /// Whether the store was closed cleanly and nothing has happened since.
    pub(crate) fn is_rested(&self) -> bool {
        self.rested
    }

    /// The full copy of a session, tombstone or token, if a replay takes it from row `row`. From
    /// now on that is row `to`. `None` if a replay can do without the row.
    pub(crate) fn rehome(&mut self, due: Due, row: u64, to: u64) -> Option<Change> {
        match due {
            Due::Session(id) => {
                let entry = self.sessions.get_mut(&id).filter(|entry| entry.rows.home == row)?;
                let copy = match &entry.state.life {
                    // A copy includes every change so far, and none is in progress.
                    Life::Living(record) => {
                        let record = Arc::clone(record);
                        Change::Created { record, seen_at: entry.saved_at }
                    }
                    Life::Ended(at) => Change::Ended { id, at: *at },
                    Life::Absent => return None,
                };
                entry.rows.home = to;
                Some(copy)
            }
            Due::Token(digest) => {
                let held = self.tokens.get_mut(&digest).filter(|held| held.rows.home == row)?;
                held.rows.home = to;
                Some(Change::Minted { token: Arc::clone(&held.token) })
            }
        }
    }
}
