//! The state machine that all stores share.
//!
//! Deciding and applying are separate. An operation reads the state (`&Live`, so it cannot change
//! it) and returns a `Decided`: a short list of `Change`s, and how to build the result. Applying a
//! change is the only way the state changes, and it cannot fail:
//!
//! ```text
//!   memory store     lock · decide · apply
//!   embedded store   lock · decide · apply · write the changes · return
//!   after a restart  apply
//!   shared store     read one session · decide · apply · write it under its version · return
//! ```
//!
//! Pure and synchronous: no lock, no I/O, no clock. The present is an argument, and it never goes
//! back.

mod answers;
mod apply;
mod change;
mod expiry;
mod guests;
mod index;
mod runs;
mod sessions;
mod tokens;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::base::setting::settings;
use crate::session::Record;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::store::port::Checked;
use crate::store::port::Opened;
use crate::store::port::Operation;
use crate::store::port::StoreReply;
use crate::token::Token;

use answers::Answers;
pub(crate) use change::Change;
use guests::Guests;
use guests::Place;
use index::Index;

settings! {
    /// How much a store keeps.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Config {
        /// Sessions kept at once; beyond it new ones are refused.
        sessions_max as "max": usize = 1_000_000, in 1..=1_000_000_000;
        /// Percent of these sessions that guests (nobody signed in) may be, 1 to 100; all guests
        /// together store 1024 bytes for each of them at most. Beyond it the guest that was idle
        /// longest makes room for a new one. Sessions of people who are signed in never do.
        guest_percent as "guest_share": u8 = 50, in 1..=100;
        /// Bytes of answers kept in memory, and in the store, for rows with "repeat"; 131072 at
        /// least. Beyond it the oldest make room: their repeats are told `answer_not_kept`.
        answer_bytes_max as "answer_bytes": usize = 64 * MIB, in 128 * KIB..=1024 * MIB;
    }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Approximate bytes of a session, from which the limit of all guests together follows.
pub const BYTES_PER_SESSION: usize = 1024;

impl Config {
    /// Tombstones kept at most, and tokens kept at most.
    fn others_max(self) -> usize {
        self.sessions_max.saturating_mul(4)
    }
}

/// All sessions and tokens of one store.
pub(crate) struct Live {
    config: Config,
    /// The latest time that any caller has passed.
    latest: Timestamp,
    /// The latest time that a change has recorded, which a restart therefore remembers.
    noted: Timestamp,
    // Keyed hashing (SipHash with random keys): some of the keys come from clients.
    sessions: HashMap<SessionId, Held>,
    tokens: HashMap<Digest, HeldToken>,
    names: BTreeMap<TokenId, Digest>,
    /// The unspent tokens of each session that has any, in the order they were minted. They are
    /// stored apart from the sessions, because a replay may read a token before its session.
    tokens_of: HashMap<SessionId, Vec<Digest>>,
    answers: Answers,
    index: Index,
    guests: Guests,
    /// Approximate bytes of full copies of everything in a journal.
    bytes: usize,
    /// Whether nothing has happened since a clean close.
    rested: bool,
    /// Whether new sessions and tokens are refused for lack of disk space.
    low: bool,
}

/// The state known of one session id.
enum Held {
    Living(Living),
    Ended(Tombstone),
}

/// A session that has not ended. It may have expired nevertheless.
struct Living {
    record: Arc<Record>,
    seen_at: Timestamp,
    /// The `seen_at` that a restart would find.
    saved_at: Timestamp,
    /// When the last of its unspent tokens expires; the epoch if it has none.
    needed_until: Timestamp,
    due_at: Timestamp,
    rows: Rows,
    bytes: usize,
    /// Its position among the guests, if it is one.
    place: Option<Place>,
}

/// The record of a session that ended.
struct Tombstone {
    ended_at: Timestamp,
    rows: Rows,
}

/// A token, and when it is forgotten.
struct HeldToken {
    token: Arc<Token>,
    due_at: Timestamp,
    rows: Rows,
}

/// The rows of a journal that hold an entry. Both are 0 without a journal.
#[derive(Debug, Clone, Copy)]
struct Rows {
    /// The row with the last full copy: a replay needs nothing older.
    home: u64,
    /// The row with the last change.
    last: u64,
}

/// The subject of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A living session or a tombstone.
    Session(SessionId),
    /// A token.
    Token(Digest),
}

/// The state of a session at one moment.
enum Standing<'a> {
    Living(&'a Living),
    /// It has expired, and that is not recorded yet.
    Expired,
    Ended,
    Unheard,
}

/// The outcome of an operation that has not changed anything yet.
pub(crate) struct Decided {
    /// What happened.
    pub(crate) changes: Vec<Change>,
    answer: Answer,
}

/// Builds the result, once the changes are applied.
type Answer = Box<dyn FnOnce(&Live) -> Result<StoreReply, StoreError> + Send>;

impl Decided {
    /// A result that is read from the state after the changes.
    fn after<T: Into<StoreReply>>(
        changes: Vec<Change>,
        answer: impl FnOnce(&Live) -> T + Send + 'static,
    ) -> Self {
        Self { changes, answer: Box::new(move |live| Ok(answer(live).into())) }
    }

    /// A result that is known already.
    pub(crate) fn with(changes: Vec<Change>, answer: impl Into<StoreReply>) -> Self {
        let answer = answer.into();
        Self::after(changes, move |_| answer)
    }

    /// A result without changes.
    pub(crate) fn only(answer: impl Into<StoreReply>) -> Self {
        Self::with(Vec::new(), answer)
    }

    /// There is no room. The changes are those of the sweep that tried to make some.
    fn full(changes: Vec<Change>) -> Self {
        Self { changes, answer: Box::new(|_| Err(StoreError::Full)) }
    }
}

impl Live {
    /// An empty state.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            latest: Timestamp::default(),
            noted: Timestamp::default(),
            sessions: HashMap::new(),
            tokens: HashMap::new(),
            names: BTreeMap::new(),
            tokens_of: HashMap::new(),
            answers: Answers::default(),
            index: Index::default(),
            guests: Guests::default(),
            bytes: 0,
            rested: false,
            low: false,
        }
    }

    /// A state to be replayed. [`Live::wake`] makes it ready for use.
    pub(crate) fn asleep(config: Config) -> Self {
        Self { index: Index::asleep(), ..Self::new(config) }
    }

    /// Refuses new sessions and tokens while there is no room for them.
    pub(crate) fn set_low(&mut self, low: bool) {
        self.low = low;
    }

    /// The present, given what the caller's clock says: a clock that steps back revives nothing.
    pub(crate) fn present(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The latest time that any caller has passed.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Approximate bytes of full copies of everything in a journal.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Living sessions, ended ones that are remembered, and tokens.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        (self.index.ids.len(), self.sessions.len() - self.index.ids.len(), self.tokens.len())
    }

    /// Decides an operation on the state. The store itself checks and closes.
    pub(crate) fn decide(&self, now: Timestamp, operation: &Operation) -> Decided {
        match operation {
            Operation::Resume { id, credential } => self.resume(now, *id, *credential),
            Operation::Create { founding } => self.create(now, founding),
            Operation::Patch { id, right, patch } => self.patch(now, *id, *right, patch),
            Operation::Mint { right, patch, token } => self.mint(now, *right, patch, token),
            Operation::Redeem { claim } => self.redeem(now, claim),
            Operation::Conclude { conclusion } => self.conclude(now, conclusion),
            Operation::Detach { id, right, device } => self.detach(now, *id, *right, *device),
            Operation::End { id, right } => self.end(now, *id, *right),
            Operation::Revoke { token } => self.revoke(now, *token),
            Operation::Look { id, right } => self.look(now, *id, *right),
            Operation::Sessions { after, at_most } => self.sessions(now, *after, *at_most),
            Operation::Tokens { after, at_most } => self.tokens(now, *after, *at_most),
            Operation::Sweep { at_most } => self.sweep(now, *at_most),
            // Not about sessions: a store performs them by itself.
            Operation::ReadRecords { .. }
            | Operation::ListRecords { .. }
            | Operation::WriteRecords { .. }
            | Operation::SelfCheck
            | Operation::Close => Decided::only(()),
        }
    }

    /// Applies what was decided, as row `row` of a journal, and builds the result.
    pub(crate) fn perform(&mut self, row: u64, decided: Decided) -> Performed {
        for change in &decided.changes {
            self.apply(row, change);
        }
        Performed { answer: (decided.answer)(self), changes: decided.changes }
    }

    /// Whether every change of a session is in a row up to `row`.
    pub(crate) fn is_settled(&self, id: SessionId, row: u64) -> bool {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) => living.rows.last <= row,
            Some(Held::Ended(tombstone)) => tombstone.rows.last <= row,
            None => true,
        }
    }

    /// Whether a restart would treat a session as used up to `now`, whatever it finds in the
    /// journal.
    pub(crate) fn is_covered(&self, id: SessionId, now: Timestamp) -> bool {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) => {
                now <= living.saved_at.after(living.record.lifetime.touch_lag())
            }
            Some(Held::Ended(_)) | None => false,
        }
    }

    fn standing(&self, id: SessionId, now: Timestamp) -> Standing<'_> {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) if living.is_live(now) => Standing::Living(living),
            Some(Held::Living(_)) => Standing::Expired,
            Some(Held::Ended(_)) => Standing::Ended,
            None => Standing::Unheard,
        }
    }

    /// The session, if it is alive and the right to it holds. Every operation under a right begins
    /// with this.
    fn under(&self, id: SessionId, now: Timestamp, right: Right) -> Checked<&Living> {
        match self.living(id, now) {
            Some(living) if right.holds(&living.record) => Checked::Done(living),
            Some(_) => Checked::Replaced,
            None => Checked::Gone,
        }
    }

    fn living(&self, id: SessionId, now: Timestamp) -> Option<&Living> {
        match self.standing(id, now) {
            Standing::Living(living) => Some(living),
            Standing::Expired | Standing::Ended | Standing::Unheard => None,
        }
    }

    /// The session as it is. `None` once it has ended.
    pub(crate) fn opened(&self, id: SessionId) -> Option<Opened> {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) => Some(living.opened()),
            _ => None,
        }
    }

    /// When a remembered session ended.
    pub(crate) fn ended_at(&self, id: SessionId) -> Option<Timestamp> {
        match self.sessions.get(&id) {
            Some(Held::Ended(tombstone)) => Some(tombstone.ended_at),
            _ => None,
        }
    }

    /// The unclaimed tokens of a session, in the order they were minted.
    pub(crate) fn unspent_of(&self, id: SessionId) -> impl Iterator<Item = &Token> {
        let digests = self.tokens_of.get(&id).into_iter().flatten();
        digests.filter_map(|digest| self.tokens.get(digest)).map(|held| &*held.token)
    }

    /// Ends a session that is found to have expired, before any result depends on it. A result
    /// that was returned once must hold after a restart, when the clock may have stepped back.
    fn noticed(&self, id: SessionId, now: Timestamp) -> Vec<Change> {
        match self.standing(id, now) {
            Standing::Expired => vec![Change::Ended { id, at: now }],
            _ => Vec::new(),
        }
    }
}

/// An operation that has been performed.
pub(crate) struct Performed {
    /// Its result.
    pub(crate) answer: Result<StoreReply, StoreError>,
    /// What happened, for a journal.
    pub(crate) changes: Vec<Change>,
}

impl Performed {
    /// How many guests were evicted.
    pub(crate) fn displaced(&self) -> usize {
        self.changes.iter().filter(|change| matches!(change, Change::Displaced { .. })).count()
    }
}

impl Living {
    fn opened(&self) -> Opened {
        let Self { record, seen_at, needed_until, .. } = self;
        let record = Arc::clone(record);
        Opened { record, seen_at: *seen_at, needed_until: *needed_until }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }

    /// When it ends unless it is used again.
    fn ends_at(&self) -> Timestamp {
        self.record.expires_at(self.seen_at, self.needed_until)
    }
}

impl Held {
    fn due_at(&self) -> Timestamp {
        match self {
            Self::Living(living) => living.due_at,
            Self::Ended(tombstone) => tombstone.forget_at(),
        }
    }
}

impl Tombstone {
    fn forget_at(&self) -> Timestamp {
        self.ended_at.after(TOMBSTONE)
    }
}

/// Numbers only.
impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (living, ended, tokens) = self.census();
        write!(f, "Live({living} sessions, {ended} ended, {tokens} tokens)")
    }
}
