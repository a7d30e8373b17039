//! A session with its tokens as a database holds it: read from rows, and written as a commit.

use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::Record;
use crate::session::codec;
use crate::session::codec::BadRecord;
use crate::store::error::StoreError;
use crate::store::live::Change;
use crate::store::live::Life;
use crate::store::live::SessionState;
use crate::store::port::Operation;
use crate::store::port::StoreReply;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::Mark;
use crate::store::shared::engine::NEVER;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenChange;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::engine::Unspent;
use crate::store::shared::tokens;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;

/// A session as it was read, or as it is after an operation.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) state: SessionState,
    /// The version under which it may be written; `None` without a row.
    pub(super) version: Option<u64>,
    /// The last use that the database has.
    stored_seen: Timestamp,
}

/// What an operation came to.
pub(super) struct Planned {
    pub(super) answer: StoreReply,
    /// What must be written before the result is valid; `None` for nothing.
    pub(super) commit: Option<Commit>,
    /// Whether the session was used and no other change records that.
    pub(super) touched: bool,
    /// The session after the write, still with its old version.
    pub(super) after: Snapshot,
}

impl Snapshot {
    /// A session without a row.
    pub(super) fn absent(id: SessionId) -> Self {
        let stored_seen = Timestamp::default();
        Self { state: SessionState::absent(id), version: None, stored_seen }
    }

    /// The session in this row; `None` means that there is no row.
    pub(super) fn read(id: SessionId, row: Option<SessionRow>) -> Result<Self, BadRecord> {
        let Some(row) = row else { return Ok(Self::absent(id)) };
        let life = match row.ended_at {
            Some(at) => Life::Ended(at),
            None => Life::Living(Arc::new(record(id, &row)?)),
        };
        let SessionRow { version, seen_at, unspent, answers, .. } = row;
        let state = SessionState { id, life, seen_at, unspent, answers };
        Ok(Self { state, version: Some(version), stored_seen: seen_at })
    }

    /// Counts a use that the database does not have yet.
    pub(super) fn seen(mut self, at: Option<Timestamp>) -> Self {
        self.state.seen_at = self.state.seen_at.max(at.unwrap_or_default());
        self
    }

    /// The session once the database has written it under this version.
    pub(super) fn written(mut self, version: u64) -> Self {
        self.version = Some(version);
        self.stored_seen = self.state.seen_at;
        self
    }

    /// The generation of a living session.
    pub(super) fn generation(&self) -> Option<u64> {
        match &self.state.life {
            Life::Living(record) => Some(record.generation),
            Life::Absent | Life::Ended(_) => None,
        }
    }

    /// The session without the effect of a claim: the token is unspent again, and the device that
    /// joined, if one did, is gone.
    pub(super) fn without_claim(mut self, token: Unspent, newcomer: Option<Digest>) -> Self {
        let Life::Living(record) = &mut self.state.life else { return self };
        Arc::make_mut(record).devices.retain(|device| Some(device.digest) != newcomer);
        if self.state.unspent.iter().all(|slip| slip.digest != token.digest) {
            self.state.unspent.push(token);
        }
        self
    }

    /// The commit that takes back a claim, and leaves this session.
    pub(super) fn unclaim(&self, token: &TokenRow) -> Result<Commit, StoreError> {
        let change = TokenChange::Unclaim { forget_at: token.forget_at };
        Ok(Commit {
            expect_fence: Some(token.digest),
            session: Some(self.row()?),
            marks: vec![Mark { digest: token.digest, change }],
            ..self.blank_commit(self)
        })
    }

    /// A commit after which the session is `after`, without any change yet.
    fn blank_commit(&self, after: &Self) -> Commit {
        Commit {
            id: self.state.id,
            expect: self.version.map_or(Expect::Absent, Expect::Version),
            // Set by the caller that sends it.
            next: 0,
            expect_seen: None,
            expect_fence: None,
            session: None,
            guest: matches!(&after.state.life, Life::Living(record) if !record.access.known),
            mint: None,
            marks: Vec::new(),
            drops: Vec::new(),
            due_at: after.due_at(),
        }
    }

    /// Approximate bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let content = match &self.state.life {
            Life::Living(record) => record.storage.bytes() + record.devices.len() * 256,
            Life::Absent | Life::Ended(_) => 0,
        };
        512 + content + self.state.unspent.len() * 48
    }

    /// Lets an operation decide on this session, and on this token of it if it concerns one.
    pub(super) fn decide(
        &self,
        now: Timestamp,
        token: Option<&Token>,
        operation: &Operation,
    ) -> Result<Planned, StoreError> {
        let token = token.filter(|token| now < self.state.forgets_at(token));
        let decision = self.state.decide(now, token, operation);
        let mut after = self.clone();
        for change in &decision.changes {
            after.state.apply(change);
        }
        let (changes, answer) = decision.reply(|_| after.state.opened());
        let touched = changes.iter().any(is_use);
        let commit = self.commit(&after, now, token, &changes)?;
        Ok(Planned { answer: answer?, touched: touched && commit.is_none(), commit, after })
    }

    /// The write for these changes, which lead to `after`.
    fn commit(
        &self,
        after: &Self,
        now: Timestamp,
        token: Option<&Token>,
        changes: &[Change],
    ) -> Result<Option<Commit>, StoreError> {
        if changes.iter().all(|change| is_use(change) || !change.is_lasting()) {
            return Ok(None);
        }
        let mut commit = self.blank_commit(after);
        for change in changes {
            match change {
                Change::Noted { .. } => {
                    commit.marks.extend(token.map(|token| mark(token, TokenChange::Void)));
                }
                Change::Minted { token } => {
                    commit.mint = Some(tokens::row(token).map_err(unwritable)?);
                }
                Change::Claimed { token: digest, mark } => {
                    let forget_at = self.ended_by_sign_in(digest, *mark);
                    if forget_at.is_none() {
                        commit.expect_fence = Some(*digest);
                    }
                    let change = TokenChange::Claim { id: mark.id, at: mark.at, forget_at };
                    commit.marks.push(Mark { digest: *digest, change });
                }
                Change::Ran { token: digest, run } => match token {
                    Some(token) if token.digest == *digest => {
                        commit.expect_fence =
                            takes_over(token, run).then_some(*digest).or(commit.expect_fence);
                        commit.marks.push(mark(token, ran(token, run)?));
                    }
                    _ => {}
                },
                Change::Unanswered { token } => {
                    commit.marks.push(Mark { digest: *token, change: TokenChange::Unanswered });
                }
                Change::Dropped { token } => commit.drops.push(*token),
                Change::Ended { .. } if self.is_over(now) => {
                    commit.expect_seen = Some(self.stored_seen);
                }
                _ => {}
            }
        }
        if self.version.is_some() || !matches!(after.state.life, Life::Absent) {
            commit.session = Some(after.row()?);
        }
        Ok(Some(commit))
    }

    /// When a token that a sign-in ends is forgotten; `None` for one that is redeemed.
    fn ended_by_sign_in(&self, digest: &Digest, mark: ClaimMark) -> Option<Timestamp> {
        let slip = self.state.unspent.iter().find(|slip| slip.digest == *digest)?;
        mark.forget_at(slip.expires_at)
    }

    /// Whether a living session has expired.
    fn is_over(&self, now: Timestamp) -> bool {
        matches!(&self.state.life, Life::Living(_)) && self.due_at() <= now
    }

    fn due_at(&self) -> Timestamp {
        self.state.due_at().unwrap_or(self.state.seen_at).min(NEVER)
    }

    fn row(&self) -> Result<SessionRow, StoreError> {
        let SessionState { life, seen_at, unspent, answers, .. } = &self.state;
        let version = self.version.unwrap_or_default();
        let row = SessionRow {
            version,
            seen_at: *seen_at,
            answers: answers.clone(),
            ..SessionRow::default()
        };
        let record = match life {
            Life::Living(record) => record,
            Life::Ended(at) => return Ok(SessionRow { ended_at: Some(*at), ..row }),
            Life::Absent => return Ok(row),
        };
        let absolute = record.lifetime.absolute_minutes;
        Ok(SessionRow {
            idle_ms: u64::try_from(record.lifetime.idle().as_millis()).unwrap_or(NEVER.millis()),
            absolute_at: absolute.map_or(NEVER, |minutes| {
                record.created_at.after_secs(u64::from(minutes) * 60).min(NEVER)
            }),
            doc: codec::encode(record).map_err(unwritable)?,
            devices: record.devices.iter().map(|device| device.digest).collect(),
            unspent: unspent.clone(),
            ..row
        })
    }
}

fn record(id: SessionId, row: &SessionRow) -> Result<Record, BadRecord> {
    let mut record = codec::decode(&row.doc)?;
    if record.id != id {
        return Err(BadRecord::Malformed("session id"));
    }
    for device in &row.joined {
        record.admit(codec::decode_device(device)?);
    }
    Ok(record)
}

/// Whether a change records nothing but a use of the session.
fn is_use(change: &Change) -> bool {
    matches!(change, Change::Seen { .. } | Change::Touched { .. })
}

/// Whether this run is begun by another attempt than the one that held it. Then the handler runs
/// again, which only the incarnation that knows how the first run ended may allow.
fn takes_over(token: &Token, run: &Run) -> bool {
    token.run.as_ref().is_some_and(|held| held.by != run.by)
}

fn mark(token: &Token, change: TokenChange) -> Mark {
    Mark { digest: token.digest, change }
}

fn ran(token: &Token, run: &Run) -> Result<TokenChange, StoreError> {
    let (run_bytes, answer) = tokens::run_bytes(run).map_err(unwritable)?;
    let forget_at = Token { run: Some(run.clone()), ..token.clone() }.forget_at();
    Ok(TokenChange::Run { run: run_bytes, answer, forget_at })
}

/// A change that cannot be written must not be reported as written.
fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(Box::new(error))
}
