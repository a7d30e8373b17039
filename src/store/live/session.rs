//! One session with its tokens: what every operation on it decides on.

use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::port::Checked;
use crate::store::port::Concluded;
use crate::store::port::Opened;
use crate::store::port::Operation;
use crate::store::port::Redeemed;
use crate::store::port::StoreReply;
use crate::token::Run;
use crate::token::Token;

/// A session with its tokens, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) life: Life,
    /// When it was last used.
    pub(crate) seen_at: Timestamp,
    /// Its unclaimed tokens in the order they were minted. They may have expired.
    pub(crate) unspent: Vec<Unspent>,
    /// Its tokens with a kept response, the oldest response first.
    pub(crate) answers: Vec<KeptAnswer>,
}

/// What is known of a session id.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    Absent,
    /// It has not ended. It may have expired nevertheless.
    Living(Arc<Record>),
    Ended(Timestamp),
}

/// An unclaimed token, as listed with its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unspent {
    /// Its digest.
    pub digest: Digest,
    /// Its name.
    pub id: TokenId,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl Unspent {
    /// The entry of this token.
    pub(crate) fn of(token: &Token) -> Self {
        Self { digest: token.digest, id: token.id, expires_at: token.expires_at }
    }
}

/// A response kept for the repeats of a callback, as listed with its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The token.
    pub digest: Digest,
    /// When it was kept.
    pub at: Timestamp,
    /// Its size.
    pub bytes: u32,
}

/// The state of a session at one moment.
pub(super) enum Standing<'a> {
    Living(&'a Arc<Record>),
    /// It has expired, and that is not recorded yet.
    Expired,
    Ended,
    Absent,
}

impl SessionState {
    /// A session that does not exist.
    pub(crate) fn absent(id: SessionId) -> Self {
        let (unspent, answers) = (Vec::new(), Vec::new());
        Self { id, life: Life::Absent, seen_at: Timestamp::default(), unspent, answers }
    }

    /// Decides an operation on this session, and on this token of it if it concerns one.
    pub(crate) fn decide(
        &self,
        now: Timestamp,
        token: Option<&Token>,
        operation: &Operation,
    ) -> Decision {
        match (operation, token) {
            (Operation::Resume { credential, .. }, _) => self.resume(now, credential),
            (Operation::Create { founding }, _) => self.create(now, founding),
            (Operation::Patch { right, patch, .. }, _) => self.patch(now, *right, patch),
            (Operation::Mint { right, patch, token }, _) => self.mint(now, *right, patch, token),
            (Operation::Detach { right, device, .. }, _) => self.detach(now, *right, *device),
            (Operation::End { right, .. }, _) => self.end(now, *right),
            (Operation::Look { right, .. }, _) => self.look(now, *right),
            (Operation::Redeem { claim }, Some(token)) => self.redeem(now, token, claim),
            (Operation::Conclude { conclusion }, Some(token)) => {
                self.conclude(now, token, conclusion)
            }
            (Operation::Revoke { .. }, Some(token)) => revoke(now, token),
            (operation, _) => Decision::only(without_token(operation)),
        }
    }

    /// The session, if it is alive and the right to it holds. Every operation under a right begins
    /// with this.
    pub(super) fn under(&self, now: Timestamp, right: Right) -> Checked<&Arc<Record>> {
        match self.living(now) {
            Some(record) if right.holds(record) => Checked::Done(record),
            Some(_) => Checked::Replaced,
            None => Checked::Gone,
        }
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing<'_> {
        match &self.life {
            Life::Living(record) if now < self.expires_at(record) => Standing::Living(record),
            Life::Living(_) => Standing::Expired,
            Life::Ended(_) => Standing::Ended,
            Life::Absent => Standing::Absent,
        }
    }

    /// The session, if it is alive.
    pub(crate) fn living(&self, now: Timestamp) -> Option<&Arc<Record>> {
        match self.standing(now) {
            Standing::Living(record) => Some(record),
            Standing::Expired | Standing::Ended | Standing::Absent => None,
        }
    }

    /// The session as it is. `None` once it has ended.
    pub(crate) fn opened(&self) -> Option<Opened> {
        let Life::Living(record) = &self.life else { return None };
        let (record, needed_until) = (Arc::clone(record), self.needed_until());
        Some(Opened { record, seen_at: self.seen_at, needed_until })
    }

    /// When the last of its unspent tokens expires; the epoch if it has none.
    fn needed_until(&self) -> Timestamp {
        self.unspent.iter().map(|token| token.expires_at).max().unwrap_or_default()
    }

    fn expires_at(&self, record: &Record) -> Timestamp {
        record.expires_at(self.seen_at, self.needed_until())
    }

    /// When a living session ends unless it is used again, and an ended one is forgotten.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match &self.life {
            Life::Living(record) => Some(self.expires_at(record)),
            Life::Ended(at) => Some(at.after(TOMBSTONE)),
            Life::Absent => None,
        }
    }

    /// When a token of this session is forgotten.
    pub(crate) fn forgets_at(&self, token: &Token) -> Timestamp {
        match self.life {
            // What a repeat needs outlives the session, because the handler may have ended it.
            Life::Ended(at) if token.run.is_none() => token.forget_at().min(at.after(TOMBSTONE)),
            _ => token.forget_at(),
        }
    }

    /// Ends a session that is found to have expired, before any result depends on it. A result
    /// that was returned once must hold after a restart, when the clock may have stepped back.
    pub(super) fn noticed(&self, now: Timestamp) -> Vec<Change> {
        match self.standing(now) {
            Standing::Expired => vec![Change::Ended { id: self.id, at: now }],
            _ => Vec::new(),
        }
    }

    /// Applies a change of this session or of one of its tokens. This cannot fail.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Created { record, seen_at } => {
                self.life = Life::Living(Arc::clone(record));
                self.seen_at = *seen_at;
            }
            Change::Ended { at, .. } => {
                self.life = Life::Ended(*at);
                self.unspent.clear();
            }
            Change::Displaced { .. } => {
                self.life = Life::Absent;
                self.unspent.clear();
            }
            Change::Minted { token } => {
                if token.claim.is_none() {
                    self.unspent.push(Unspent::of(token));
                }
                if let Some(run) = &token.run {
                    self.keep(token.digest, run);
                }
            }
            Change::Claimed { token, .. } => self.unspent.retain(|held| held.digest != *token),
            Change::Ran { token, run } => self.keep(*token, run),
            Change::Unanswered { token } => self.answers.retain(|held| held.digest != *token),
            Change::Dropped { token } => {
                self.unspent.retain(|held| held.digest != *token);
                self.answers.retain(|held| held.digest != *token);
            }
            change => {
                if let Life::Living(record) = &mut self.life {
                    write(record, &mut self.seen_at, change);
                }
            }
        }
    }

    /// Lists the response of a token with this run, if one is kept.
    fn keep(&mut self, digest: Digest, run: &Run) {
        self.answers.retain(|held| held.digest != digest);
        if let Some((at, answer)) = run.answer() {
            let bytes = u32::try_from(answer.bytes().len()).unwrap_or(u32::MAX);
            let place = self.answers.partition_point(|held| (held.at, held.digest) < (at, digest));
            self.answers.insert(place, KeptAnswer { digest, at, bytes });
        }
    }
}

/// Applies a change to a living session.
fn write(record: &mut Arc<Record>, last_used: &mut Timestamp, change: &Change) {
    match change {
        Change::Patched { next: Some(next), .. } => *record = Arc::clone(next),
        // Only accepted patches become changes, so none is checked again.
        Change::Patched { patch, next: None, .. } => *record = Arc::new(patch.carry_out(record)),
        Change::Seen { at, .. } | Change::Touched { at, .. } => {
            *last_used = (*last_used).max(*at);
        }
        Change::Joined { device, .. } => Arc::make_mut(record).admit(device.clone()),
        Change::Used { device, .. } => Arc::make_mut(record).used_by(*device),
        Change::Left { device, .. } => {
            Arc::make_mut(record).devices.retain(|held| held.id != *device);
        }
        Change::Raised { .. } => {
            let record = Arc::make_mut(record);
            record.generation = record.next_generation();
        }
        _ => {}
    }
}

/// Revokes a token, whatever has become of its session.
fn revoke(now: Timestamp, token: &Token) -> Decision {
    let unspent = token.is_unspent(now);
    let change = unspent.then_some(Change::Dropped { token: token.digest });
    Decision::with(change.into_iter().collect(), unspent)
}

/// The result of an operation on a token that does not exist.
pub(crate) fn without_token(operation: &Operation) -> StoreReply {
    match operation {
        Operation::Redeem { .. } => Redeemed::Unknown.into(),
        Operation::Conclude { .. } => Concluded::Forgotten.into(),
        _ => false.into(),
    }
}
