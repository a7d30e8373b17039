//! Applying changes: the only code that moves the state, and it cannot fail.

use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::Patch;
use crate::session::Record;
use crate::store::live::Change;
use crate::store::live::Due;
use crate::store::live::Held;
use crate::store::live::HeldToken;
use crate::store::live::Live;
use crate::store::live::Living;
use crate::store::live::Rows;
use crate::store::live::Tombstone;
use crate::store::live::change::answer_bytes;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;

/// Approximate bytes of the full copy of a tombstone in a journal.
const TOMBSTONE_BYTES: usize = 96;
/// Approximate bytes of a run in the copy of its token, without its response.
const RUN_BYTES: usize = 320;

impl Live {
    /// Applies one change, which is in row `row` of the journal. A change of a missing entry does
    /// nothing.
    pub(crate) fn apply(&mut self, row: u64, change: &Change) {
        self.rested = matches!(change, Change::Rested);
        match change {
            Change::Rested => {}
            Change::Noted { at } => {
                self.noted = self.noted.max(*at);
                self.latest = self.latest.max(*at);
            }
            Change::Founded { record, seen_at } => self.found(row, record, *seen_at),
            Change::Patched { id, patch } => self.patched(row, *id, patch),
            Change::Seen { id, at } => self.seen(*id, *at, true),
            Change::Touched { id, at } => self.seen(*id, *at, false),
            Change::Joined { id, device } => {
                self.rewrite(row, *id, |record| Arc::make_mut(record).admit(device.clone()));
            }
            Change::Used { id, device } => {
                self.rewrite(row, *id, |record| Arc::make_mut(record).used_by(*device));
            }
            Change::Left { id, device } => self.rewrite(row, *id, |record| {
                Arc::make_mut(record).devices.retain(|held| held.id != *device);
            }),
            Change::Raised { id } => self.rewrite(row, *id, |record| {
                let record = Arc::make_mut(record);
                record.generation = record.next_generation();
            }),
            Change::Ended { id, at } => self.ended(row, *id, *at),
            Change::Displaced { id } => self.displaced(*id),
            Change::Minted { token } => self.minted(row, token),
            Change::Claimed { token, mark } => self.claimed(row, token, *mark),
            Change::Ran { token, run } => self.ran(row, token, run),
            Change::Dropped { token } => self.drop_token(token),
            Change::Postponed { id } => self.postponed(*id),
            Change::Forgotten { due: Due::Session(id) } => self.drop_session(*id),
            Change::Forgotten { due: Due::Token(digest) } => self.drop_token(digest),
        }
    }

    fn found(&mut self, row: u64, record: &Arc<Record>, seen_at: Timestamp) {
        let id = record.id;
        self.drop_session(id);
        let needed_until = self.needed_until(id);
        let due_at = record.expires_at(seen_at, needed_until);
        let living = Living {
            record: Arc::clone(record),
            seen_at,
            saved_at: seen_at,
            needed_until,
            due_at,
            rows: Rows { home: row, last: row },
            bytes: session_bytes(record),
            place: None,
        };
        self.bytes += living.bytes;
        self.index.found(id);
        self.index.schedule(due_at, Due::Session(id));
        self.sessions.insert(id, Held::Living(living));
        self.place(id);
    }

    /// When the last unspent token of a session expires.
    fn needed_until(&self, id: SessionId) -> Timestamp {
        self.unspent_of(id).map(|token| token.expires_at).max().unwrap_or_default()
    }

    /// Updates the lifetime of a session after one of its tokens was added or removed.
    fn follow_tokens(&mut self, id: SessionId) {
        let needed_until = self.needed_until(id);
        let Some(Held::Living(living)) = self.sessions.get_mut(&id) else { return };
        living.needed_until = needed_until;
        self.advance(id);
        self.place(id);
    }

    /// Moves the deadline of a session forward to the end of its life. A deadline that is too
    /// early is corrected when it is reached (see `expiry`).
    fn advance(&mut self, id: SessionId) {
        let Some(Held::Living(living)) = self.sessions.get_mut(&id) else { return };
        let due_at = living.ends_at();
        if due_at < living.due_at {
            self.index.unschedule(living.due_at, Due::Session(id));
            self.index.schedule(due_at, Due::Session(id));
            living.due_at = due_at;
        }
    }

    /// Drops a guest with its unspent tokens.
    fn displaced(&mut self, id: SessionId) {
        // A replay may read its tokens without it.
        if matches!(self.sessions.get(&id), Some(Held::Ended(_))) {
            return;
        }
        self.drop_session(id);
        for digest in self.tokens_of.remove(&id).unwrap_or_default() {
            self.drop_token(&digest);
        }
    }

    fn patched(&mut self, row: u64, id: SessionId, patch: &Patch) {
        self.rewrite(row, id, |record| {
            // Only accepted patches become changes, so none is checked again.
            *record = Arc::new(patch.carry_out(record));
        });
    }

    fn rewrite(&mut self, row: u64, id: SessionId, change: impl FnOnce(&mut Arc<Record>)) {
        let Some(Held::Living(living)) = self.sessions.get_mut(&id) else { return };
        change(&mut living.record);
        living.rows.last = row;
        let bytes = session_bytes(&living.record);
        self.bytes = self.bytes - living.bytes + bytes;
        living.bytes = bytes;
        // The idle timeout may be shorter now.
        self.advance(id);
        self.place(id);
    }

    fn seen(&mut self, id: SessionId, at: Timestamp, lasting: bool) {
        if let Some(Held::Living(living)) = self.sessions.get_mut(&id) {
            living.seen_at = living.seen_at.max(at);
            if lasting {
                living.saved_at = living.saved_at.max(at);
            }
        }
        self.place(id);
    }

    fn ended(&mut self, row: u64, id: SessionId, at: Timestamp) {
        self.drop_session(id);
        let tombstone = Tombstone { ended_at: at, rows: Rows { home: row, last: row } };
        let forget_at = tombstone.forget_at();
        // Its tokens are remembered as long as the session, which is long enough to report why
        // they are refused. A token that would have lived for a year is not kept for a year.
        for digest in self.tokens_of.remove(&id).unwrap_or_default() {
            self.forget_token_by(digest, forget_at);
        }
        self.bytes += TOMBSTONE_BYTES;
        self.index.schedule(forget_at, Due::Session(id));
        self.sessions.insert(id, Held::Ended(tombstone));
    }

    fn forget_token_by(&mut self, digest: Digest, latest: Timestamp) {
        let Some(held) = self.tokens.get_mut(&digest) else { return };
        if latest < held.due_at {
            self.index.unschedule(held.due_at, Due::Token(digest));
            self.index.schedule(latest, Due::Token(digest));
            held.due_at = latest;
        }
    }

    fn minted(&mut self, row: u64, token: &Arc<Token>) {
        self.drop_token(&token.digest);
        let due_at = match self.sessions.get(&token.session) {
            // What a repeat needs outlives the session, because the handler may have ended it.
            Some(Held::Ended(tombstone)) if token.run.is_none() => {
                token.forget_at().min(tombstone.forget_at())
            }
            _ => token.forget_at(),
        };
        self.names.insert(token.id, token.digest);
        self.index.schedule(due_at, Due::Token(token.digest));
        if token.claim.is_none() {
            self.tokens_of.entry(token.session).or_default().push(token.digest);
        }
        self.bytes += token_bytes(token);
        self.answers.enter(token);
        let rows = Rows { home: row, last: row };
        self.tokens.insert(token.digest, HeldToken { token: Arc::clone(token), due_at, rows });
        self.follow_tokens(token.session);
    }

    fn claimed(&mut self, row: u64, digest: &Digest, mark: ClaimMark) {
        let Some(held) = self.tokens.get_mut(digest) else { return };
        Arc::make_mut(&mut held.token).claim = Some(mark);
        held.rows.last = row;
        let session = held.token.session;
        if let Some(forget_at) = mark.forget_at(held.token.expires_at) {
            self.forget_token_by(*digest, forget_at);
        }
        self.unlink(session, digest);
    }

    fn ran(&mut self, row: u64, digest: &Digest, run: &Run) {
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
    }

    fn drop_token(&mut self, digest: &Digest) {
        let Some(held) = self.tokens.remove(digest) else { return };
        self.index.unschedule(held.due_at, Due::Token(*digest));
        self.names.remove(&held.token.id);
        self.answers.strike(&held.token);
        self.bytes -= token_bytes(&held.token);
        self.unlink(held.token.session, digest);
    }

    /// Removes a token from its session's unspent ones.
    fn unlink(&mut self, session: SessionId, digest: &Digest) {
        if let Some(digests) = self.tokens_of.get_mut(&session) {
            digests.retain(|held| held != digest);
            if digests.is_empty() {
                self.tokens_of.remove(&session);
            }
            self.follow_tokens(session);
        }
    }

    fn postponed(&mut self, id: SessionId) {
        let Some(Held::Living(living)) = self.sessions.get_mut(&id) else { return };
        self.index.unschedule(living.due_at, Due::Session(id));
        living.due_at = living.ends_at();
        self.index.schedule(living.due_at, Due::Session(id));
    }

    fn drop_session(&mut self, id: SessionId) {
        match self.sessions.remove(&id) {
            Some(Held::Living(living)) => {
                self.index.ids.remove(&id);
                self.guests.remove(id, living.place);
                self.bytes -= living.bytes;
                self.index.unschedule(living.due_at, Due::Session(id));
            }
            Some(Held::Ended(tombstone)) => {
                self.bytes -= TOMBSTONE_BYTES;
                self.index.unschedule(tombstone.forget_at(), Due::Session(id));
            }
            None => {}
        }
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
