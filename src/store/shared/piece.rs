//! The part of a store that one operation works on: a session with its tokens.
//!
//! It is read from the rows of a database and turned into a small [`Live`] for the operation to
//! decide on. The decision becomes a [`Commit`].

use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::TOMBSTONE;
use crate::session::Record;
use crate::session::codec;
use crate::session::codec::BadRecord;
use crate::store::error::StoreError;
use crate::store::live::Change as Happened;
use crate::store::live::Config;
use crate::store::live::Live;
use crate::store::port::Opened;
use crate::store::port::Operation;
use crate::store::port::StoreReply;
use crate::store::shared::engine::Change;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::KeptAnswer;
use crate::store::shared::engine::Mark;
use crate::store::shared::engine::NEVER;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::Unspent;
use crate::store::shared::tokens;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;

/// The database reports by itself when it is full. The limits of one session are in `limits`.
const ROOM: Config = Config {
    sessions_max: usize::MAX / 8,
    answer_bytes_max: usize::MAX / 8,
    // The engine counts guests (see `Engine::trim`).
    guest_percent: 100,
};

/// A session as it was read, or as it is after an operation.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) id: SessionId,
    /// The version under which it may be written; `None` without a row.
    pub(super) version: Option<u64>,
    life: Life,
    /// The last use that the database has.
    stored_seen: Timestamp,
    /// The latest use known to this node or the database.
    seen_at: Timestamp,
    unspent: Vec<Unspent>,
    answers: Vec<KeptAnswer>,
}

#[derive(Debug, Clone)]
enum Life {
    Unheard,
    Living(Arc<Record>),
    Ended(Timestamp),
}

/// The decision of an operation.
pub(super) struct Came {
    pub(super) answer: StoreReply,
    /// What must be written before the result is valid; `None` for nothing.
    pub(super) commit: Option<Commit>,
    /// Whether the session was used and no other change records that.
    pub(super) touched: bool,
    /// The session after the write, still with its old version.
    pub(super) after: Piece,
}

impl Piece {
    /// A session without a row.
    pub(super) fn unheard(id: SessionId) -> Self {
        let never = Timestamp::default();
        Self {
            id,
            version: None,
            life: Life::Unheard,
            stored_seen: never,
            seen_at: never,
            unspent: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The session in this row; `None` means that there is no row.
    pub(super) fn read(id: SessionId, row: Option<SessionRow>) -> Result<Self, BadRecord> {
        let Some(row) = row else { return Ok(Self::unheard(id)) };
        let life = match row.ended_at {
            Some(at) => Life::Ended(at),
            None => Life::Living(Arc::new(record(id, &row)?)),
        };
        Ok(Self {
            id,
            version: Some(row.version),
            life,
            stored_seen: row.seen_at,
            seen_at: row.seen_at,
            unspent: row.unspent,
            answers: row.answers,
        })
    }

    /// Counts a use that the database does not have yet.
    pub(super) fn seen(mut self, at: Option<Timestamp>) -> Self {
        self.seen_at = self.seen_at.max(at.unwrap_or_default());
        self
    }

    /// The session once the database has written it under this version.
    pub(super) fn written(mut self, version: u64) -> Self {
        self.version = Some(version);
        self.stored_seen = self.seen_at;
        self
    }

    /// Approximate bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let content = match &self.life {
            Life::Living(record) => record.storage.bytes() + record.devices.len() * 256,
            Life::Unheard | Life::Ended(_) => 0,
        };
        512 + content + self.unspent.len() * 48
    }

    /// Lets an operation decide on this session, and on this token of it if it concerns one.
    pub(super) fn decide(
        &self,
        now: Timestamp,
        token: Option<&Token>,
        operation: &Operation,
    ) -> Result<Came, StoreError> {
        let mut live = self.live(token);
        let now = live.present(now);
        let decided = live.decide(now, operation);
        let performed = live.perform(0, decided);
        let answer = performed.answer?;
        let touched = performed.changes.iter().any(is_use);
        let after = self.after(&live, token, &performed.changes);
        let commit = self.commit(&after, now, token, &performed.changes)?;
        Ok(Came { answer, touched: touched && commit.is_none(), commit, after })
    }

    /// A state machine that contains this session and nothing else.
    fn live(&self, token: Option<&Token>) -> Live {
        let mut live = Live::new(ROOM);
        match &self.life {
            Life::Unheard => {}
            Life::Living(record) => {
                let record = Arc::clone(record);
                live.apply(0, &Happened::Founded { record, seen_at: self.seen_at });
            }
            Life::Ended(at) => live.apply(0, &Happened::Ended { id: self.id, at: *at }),
        }
        let slips = self.unspent.iter().map(|slip| tokens::unspent(self.id, slip));
        let kept = self.answers.iter().map(|kept| tokens::answered(self.id, kept));
        // Only what ends a run reads kept responses, and only then is a token given that may have
        // one.
        let kept = kept.filter(|_| token.is_some_and(|token| token.run.is_some()));
        for token in slips.chain(kept).chain(token.cloned()) {
            live.apply(0, &Happened::Minted { token: Arc::new(token) });
        }
        live
    }

    fn after(&self, live: &Live, token: Option<&Token>, changes: &[Happened]) -> Self {
        let mut after = self.clone();
        (after.life, after.seen_at) = match (live.opened(self.id), live.ended_at(self.id)) {
            (Some(Opened { record, seen_at, .. }), _) => (Life::Living(record), seen_at),
            (None, Some(at)) => (Life::Ended(at), self.seen_at),
            (None, None) => (Life::Unheard, self.seen_at),
        };
        for change in changes {
            if let Happened::Ran { token: digest, run } = change {
                after.answers.retain(|kept| kept.digest != *digest);
                after.answers.extend(tokens::kept(digest, run).filter(|_| is_of(token, digest)));
            }
        }
        after.unspent = match after.life {
            Life::Living(_) => live.unspent_of(self.id).map(tokens::slip).collect(),
            Life::Unheard | Life::Ended(_) => Vec::new(),
        };
        after
    }

    /// The write for these changes, which lead to `after`.
    fn commit(
        &self,
        after: &Self,
        now: Timestamp,
        token: Option<&Token>,
        changes: &[Happened],
    ) -> Result<Option<Commit>, StoreError> {
        if changes.iter().all(|change| is_use(change) || !change.is_lasting()) {
            return Ok(None);
        }
        let mut commit = Commit {
            id: self.id,
            expect: self.version.map_or(Expect::Absent, Expect::Version),
            // Set by the caller that sends it.
            next: 0,
            expect_seen: None,
            expect_fence: None,
            session: None,
            guest: matches!(&after.life, Life::Living(record) if !record.access.known),
            mint: None,
            marks: Vec::new(),
            drops: Vec::new(),
            due_at: after.due_at(),
        };
        for change in changes {
            match change {
                Happened::Noted { .. } => {
                    commit.marks.extend(token.map(|token| mark(token, Change::Void)));
                }
                Happened::Minted { token } => {
                    commit.mint = Some(tokens::row(token).map_err(unwritable)?);
                }
                Happened::Claimed { token: digest, mark } => {
                    let forget_at = self.ended_by_sign_in(digest, *mark);
                    if forget_at.is_none() {
                        commit.expect_fence = Some(*digest);
                    }
                    let change = Change::Claim { id: mark.id, at: mark.at, forget_at };
                    commit.marks.push(Mark { digest: *digest, change });
                }
                Happened::Ran { token: digest, run } => match token {
                    Some(token) if token.digest == *digest => {
                        commit.expect_fence =
                            takes_over(token, run).then_some(*digest).or(commit.expect_fence);
                        commit.marks.push(mark(token, ran(token, run)?));
                    }
                    // It has made room.
                    _ => commit.marks.push(Mark { digest: *digest, change: Change::Unanswered }),
                },
                Happened::Dropped { token } => commit.drops.push(*token),
                Happened::Ended { .. } if self.is_over(now) => {
                    commit.expect_seen = Some(self.stored_seen);
                }
                _ => {}
            }
        }
        if self.version.is_some() || !matches!(after.life, Life::Unheard) {
            commit.session = Some(after.row()?);
        }
        Ok(Some(commit))
    }

    /// When a token that a sign-in ends is forgotten; `None` for one that is redeemed.
    fn ended_by_sign_in(&self, digest: &Digest, mark: ClaimMark) -> Option<Timestamp> {
        let slip = self.unspent.iter().find(|slip| slip.digest == *digest)?;
        mark.forget_at(slip.expires_at)
    }

    /// Whether a living session has expired.
    fn is_over(&self, now: Timestamp) -> bool {
        matches!(&self.life, Life::Living(_)) && self.due_at() <= now
    }

    /// When the last of its unspent tokens expires.
    fn needed_until(&self) -> Timestamp {
        self.unspent.iter().map(|slip| slip.expires_at).max().unwrap_or_default()
    }

    fn due_at(&self) -> Timestamp {
        match &self.life {
            Life::Living(record) => record.expires_at(self.seen_at, self.needed_until()).min(NEVER),
            Life::Ended(at) => at.after(TOMBSTONE),
            Life::Unheard => self.seen_at,
        }
    }

    fn row(&self) -> Result<SessionRow, StoreError> {
        let row = SessionRow {
            version: self.version.unwrap_or_default(),
            seen_at: self.seen_at,
            answers: self.answers.clone(),
            ..SessionRow::default()
        };
        let record = match &self.life {
            Life::Living(record) => record,
            Life::Ended(at) => return Ok(SessionRow { ended_at: Some(*at), ..row }),
            Life::Unheard => return Ok(row),
        };
        let absolute = record.lifetime.absolute_minutes;
        Ok(SessionRow {
            idle_ms: u64::try_from(record.lifetime.idle().as_millis()).unwrap_or(NEVER.millis()),
            absolute_at: absolute.map_or(NEVER, |minutes| {
                record.created_at.after_secs(u64::from(minutes) * 60).min(NEVER)
            }),
            doc: codec::encode(record).map_err(unwritable)?,
            devices: record.devices.iter().map(|device| device.digest).collect(),
            unspent: self.unspent.clone(),
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
fn is_use(change: &Happened) -> bool {
    matches!(change, Happened::Seen { .. } | Happened::Touched { .. })
}

fn is_of(token: Option<&Token>, digest: &Digest) -> bool {
    token.is_some_and(|token| token.digest == *digest)
}

/// Whether this run is begun by another attempt than the one that held it. Then the handler runs
/// again, which only the incarnation that knows how the first run ended may allow.
fn takes_over(token: &Token, run: &Run) -> bool {
    token.run.as_ref().is_some_and(|held| held.by != run.by)
}

fn mark(token: &Token, change: Change) -> Mark {
    Mark { digest: token.digest, change }
}

fn ran(token: &Token, run: &Run) -> Result<Change, StoreError> {
    let (run_bytes, answer) = tokens::run_bytes(run).map_err(unwritable)?;
    let forget_at = Token { run: Some(run.clone()), ..token.clone() }.forget_at();
    Ok(Change::Run { run: run_bytes, answer, forget_at })
}

/// A change that cannot be written must not be reported as written.
fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(Box::new(error))
}
