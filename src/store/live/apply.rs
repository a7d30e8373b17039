//! Applying changes: the only code that moves the state, and it cannot fail.

use std::mem;
use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::Record;
use crate::store::live::Change;
use crate::store::live::Due;
use crate::store::live::Entry;
use crate::store::live::HeldToken;
use crate::store::live::Life;
use crate::store::live::Rows;
use crate::store::live::StateMachine;
use crate::store::live::change::answer_bytes;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;

/// Approximate bytes of the full copy of a tombstone in a journal.
const TOMBSTONE_BYTES: usize = 96;
/// Approximate bytes of a run in the copy of its token, without its response.
const RUN_BYTES: usize = 320;

impl StateMachine {
    /// Applies one change, which is in row `row` of the journal. A change of a missing entry does
    /// nothing.
    pub(crate) fn apply(&mut self, row: u64, change: &Change) {
        self.rested = matches!(change, Change::Rested);
        match change {
            // `keeping` turns an `Unanswered` into a change of its token's run.
            Change::Rested | Change::Unanswered { .. } => {}
            Change::Noted { at } => {
                self.noted = self.noted.max(*at);
                self.latest = self.latest.max(*at);
            }
            Change::Created { record, seen_at } => self.created(row, record, *seen_at),
            Change::Patched { id, .. }
            | Change::Joined { id, .. }
            | Change::Used { id, .. }
            | Change::Left { id, .. }
            | Change::Raised { id } => self.rewrite(row, *id, change),
            Change::Seen { id, at } => self.seen(*id, change, Some(*at)),
            Change::Touched { id, .. } => self.seen(*id, change, None),
            Change::Ended { id, at } => self.end(row, *id, *at),
            Change::Displaced { id } => self.displaced(*id),
            Change::Minted { token } => self.minted(row, token, change),
            Change::Claimed { token, mark } => self.claimed(row, token, (*mark, change)),
            Change::Ran { token, run } => self.ran(row, token, (run, change)),
            Change::Dropped { token } => self.drop_token(token),
            Change::Postponed { id } => self.postponed(*id),
            Change::Forgotten { due: Due::Session(id) } => self.forget_session(*id),
            Change::Forgotten { due: Due::Token(digest) } => self.drop_token(digest),
        }
    }

    fn created(&mut self, row: u64, record: &Arc<Record>, seen_at: Timestamp) {
        let mut entry = self.take(record.id);
        entry.state.life = Life::Living(Arc::clone(record));
        (entry.state.seen_at, entry.saved_at) = (seen_at, seen_at);
        entry.rows = Rows { home: row, last: row };
        self.put(entry);
    }

    /// Removes the entry of a session from the maps, to be changed and put back.
    fn take(&mut self, id: SessionId) -> Entry {
        let Some(mut entry) = self.sessions.remove(&id) else { return Entry::absent(id) };
        match entry.state.life {
            Life::Absent => return entry,
            Life::Living(_) => {
                self.index.ids.remove(&id);
                self.guests.remove(id, entry.place.take());
                self.bytes -= entry.bytes;
            }
            Life::Ended(_) => {
                self.ended -= 1;
                self.bytes -= TOMBSTONE_BYTES;
            }
        }
        self.index.unschedule(entry.due_at, Due::Session(id));
        entry
    }

    fn put(&mut self, mut entry: Entry) {
        let id = entry.state.id;
        if entry.is_blank() {
            return;
        }
        match &entry.state.life {
            Life::Absent => {}
            Life::Living(record) => {
                entry.bytes = session_bytes(record);
                self.bytes += entry.bytes;
                self.index.created(id);
            }
            Life::Ended(_) => {
                self.ended += 1;
                self.bytes += TOMBSTONE_BYTES;
            }
        }
        if let Some(due_at) = entry.state.due_at() {
            entry.due_at = due_at;
            self.index.schedule(due_at, Due::Session(id));
        }
        self.sessions.insert(id, entry);
        self.place(id);
    }

    /// Applies a change of a token to its session, and updates the session's lifetime.
    fn follow_token(&mut self, session: SessionId, change: &Change) {
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        entry.state.apply(change);
        if entry.is_blank() {
            self.sessions.remove(&session);
            return;
        }
        self.advance(session);
        self.place(session);
    }

    /// Moves the deadline of a session forward to the end of its life. A deadline that is too
    /// early is corrected when it is reached (see `expiry`).
    fn advance(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let due_at = entry.state.due_at().filter(|due_at| *due_at < entry.due_at);
        if let Some(due_at) = due_at {
            self.index.unschedule(entry.due_at, Due::Session(id));
            self.index.schedule(due_at, Due::Session(id));
            entry.due_at = due_at;
        }
    }

    fn rewrite(&mut self, row: u64, id: SessionId, change: &Change) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.state.apply(change);
        let Some(bytes) = entry.record().map(|record| session_bytes(record)) else { return };
        entry.rows.last = row;
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        // The idle timeout may be shorter now.
        self.advance(id);
        self.place(id);
    }

    fn seen(&mut self, id: SessionId, change: &Change, saved: Option<Timestamp>) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.state.apply(change);
        entry.saved_at = entry.saved_at.max(saved.unwrap_or_default());
        self.place(id);
    }

    fn end(&mut self, row: u64, id: SessionId, at: Timestamp) {
        let mut entry = self.take(id);
        entry.state.life = Life::Ended(at);
        entry.rows = Rows { home: row, last: row };
        // Its tokens are remembered as long as the session, which is long enough to report why
        // they are refused. A token that would have lived for a year is not kept for a year.
        let forget_at = entry.state.due_at().unwrap_or(at);
        for token in mem::take(&mut entry.state.unspent) {
            self.forget_token_by(token.digest, forget_at);
        }
        self.put(entry);
    }

    /// Drops a guest with its unspent tokens.
    fn displaced(&mut self, id: SessionId) {
        let mut entry = self.take(id);
        // A replay may read its tokens without it.
        if !matches!(entry.state.life, Life::Ended(_)) {
            entry.state.life = Life::Absent;
            for token in mem::take(&mut entry.state.unspent) {
                self.drop_token(&token.digest);
            }
        }
        self.put(entry);
    }

    fn forget_session(&mut self, id: SessionId) {
        let mut entry = self.take(id);
        entry.state.life = Life::Absent;
        self.put(entry);
    }

    fn postponed(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let Some(due_at) = entry.state.due_at() else { return };
        self.index.unschedule(entry.due_at, Due::Session(id));
        self.index.schedule(due_at, Due::Session(id));
        entry.due_at = due_at;
    }

    fn forget_token_by(&mut self, digest: Digest, latest: Timestamp) {
        let Some(held) = self.tokens.get_mut(&digest) else { return };
        if latest < held.due_at {
            self.index.unschedule(held.due_at, Due::Token(digest));
            self.index.schedule(latest, Due::Token(digest));
            held.due_at = latest;
        }
    }

    fn minted(&mut self, row: u64, token: &Arc<Token>, change: &Change) {
        self.drop_token(&token.digest);
        let id = token.session;
        let entry = self.sessions.entry(id).or_insert_with(|| Entry::absent(id));
        let due_at = entry.state.forgets_at(token);
        self.names.insert(token.id, token.digest);
        self.index.schedule(due_at, Due::Token(token.digest));
        self.bytes += token_bytes(token);
        self.answers.enter(token);
        let rows = Rows { home: row, last: row };
        self.tokens.insert(token.digest, HeldToken { token: Arc::clone(token), due_at, rows });
        self.follow_token(id, change);
    }

    fn claimed(&mut self, row: u64, digest: &Digest, (mark, change): (ClaimMark, &Change)) {
        let Some(held) = self.tokens.get_mut(digest) else { return };
        Arc::make_mut(&mut held.token).claim = Some(mark);
        held.rows.last = row;
        let session = held.token.session;
        if let Some(forget_at) = mark.forget_at(held.token.expires_at) {
            self.forget_token_by(*digest, forget_at);
        }
        self.follow_token(session, change);
    }

    fn ran(&mut self, row: u64, digest: &Digest, (run, change): (&Run, &Change)) {
        let Some(held) = self.tokens.get_mut(digest) else { return };
        self.bytes -= token_bytes(&held.token);
        self.answers.strike(&held.token);
        Arc::make_mut(&mut held.token).run = Some(run.clone());
        self.answers.enter(&held.token);
        self.bytes += token_bytes(&held.token);
        held.rows.last = row;
        let due_at = held.token.forget_at();
        if due_at > held.due_at {
            self.index.unschedule(held.due_at, Due::Token(*digest));
            self.index.schedule(due_at, Due::Token(*digest));
            held.due_at = due_at;
        }
        let session = held.token.session;
        self.follow_token(session, change);
    }

    fn drop_token(&mut self, digest: &Digest) {
        let Some(held) = self.tokens.remove(digest) else { return };
        self.index.unschedule(held.due_at, Due::Token(*digest));
        self.names.remove(&held.token.id);
        self.answers.strike(&held.token);
        self.bytes -= token_bytes(&held.token);
        self.follow_token(held.token.session, &Change::Dropped { token: *digest });
    }
}

/// Approximate bytes of the full copy of a session in a journal. The estimate is rather too high,
/// because a journal that overestimates its garbage would clean forever.
pub(super) fn session_bytes(record: &Record) -> usize {
    let devices: usize = record.devices.iter().map(|device| 160 + 2 * device.label.len()).sum();
    let privileges: usize = record.access.privileges.iter().map(|name| 4 + 2 * name.len()).sum();
    let entries = record.storage.entries().len() * 32 + record.storage.bytes();
    256 + 2 * record.access.user_name.len() + devices + privileges + entries
}

/// Approximate bytes of the full copy of a token in a journal, claimed or not.
fn token_bytes(token: &Token) -> usize {
    let handlers: usize = token.handlers.iter().map(|name| 4 + 2 * name.len()).sum();
    let run = token.run.as_ref().map_or(0, |run| RUN_BYTES + answer_bytes(run));
    320 + handlers + run
}
