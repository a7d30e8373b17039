//! The state machine of all stores: one session with its tokens decides, and maps hold all of them.
//!
//! ```text
//!   session    one session with its tokens: what it is, and how changes are applied to it
//!   decision   the changes of an operation, and its result
//!     sessions   decides the operations on a session
//!     tokens     decides minting and redeeming
//!     runs       decides how the run of a callback is renewed, ended and taken over
//!   change     the changes, as data
//!   apply      applies changes to all sessions and tokens, and keeps them in order
//!   room       admits what a decision adds
//!   expiry     removes what is no longer needed
//!   guests, answers, index    orders over all sessions and tokens
//! ```
//!
//! Deciding and applying are separate. A session reads its state (`&SessionState`, so it cannot
//! change it) and returns a `Decision`: a short list of `Change`s, and how to build the result.
//! Applying a change is the only way the state changes, and it cannot fail:
//!
//! ```text
//!   memory store     lock · decide · apply
//!   embedded store   lock · decide · apply · write the changes · return
//!   after a restart  apply
//!   shared store     read one session · decide · apply · write it under its version · return
//! ```
//!
//! Memory and embedded keep all sessions in a `StateMachine`. It knows what no session knows:
//! whether there is room, and who makes it.
//!
//! Pure and synchronous: no lock, no I/O, no clock. The present is an argument, and it never goes
//! back.

mod answers;
mod apply;
mod change;
mod decision;
mod expiry;
mod guests;
mod index;
mod room;
mod session;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::setting::settings;
use crate::session::Record;
use crate::store::error::StoreError;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Opened;
use crate::store::port::Operation;
use crate::store::port::StoreReply;
use crate::store::port::Subject;
use crate::token::Token;

use answers::Answers;
pub(crate) use change::Change;
pub(crate) use decision::Decision;
use guests::Guests;
use guests::Place;
use index::Index;
pub(crate) use session::Life;
pub(crate) use session::SessionState;
pub(crate) use session::without_token;
pub use session::{KeptAnswer, Unspent};

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

/// All sessions and tokens of one store, and their order.
pub(crate) struct StateMachine {
    config: Config,
    /// The latest time that any caller has passed.
    latest: Timestamp,
    /// The latest time that a change has recorded, which a restart therefore remembers.
    noted: Timestamp,
    // Keyed hashing (SipHash with random keys): some of the keys come from clients.
    sessions: HashMap<SessionId, Entry>,
    tokens: HashMap<Digest, HeldToken>,
    names: BTreeMap<TokenId, Digest>,
    answers: Answers,
    index: Index,
    guests: Guests,
    /// Sessions that ended and are remembered.
    ended: usize,
    /// Approximate bytes of full copies of everything in a journal.
    bytes: usize,
    /// Whether nothing has happened since a clean close.
    rested: bool,
    /// Whether new sessions and tokens are refused for lack of disk space.
    low: bool,
}

/// One session, and what the store keeps about it.
struct Entry {
    state: SessionState,
    /// The last-used time that a restart would find.
    saved_at: Timestamp,
    due_at: Timestamp,
    rows: Rows,
    bytes: usize,
    /// Its position among the guests, if it is one.
    place: Option<Place>,
}

/// A token, and when it is forgotten.
struct HeldToken {
    token: Arc<Token>,
    due_at: Timestamp,
    rows: Rows,
}

/// The rows of a journal that hold an entry. Both are 0 without a journal.
#[derive(Debug, Clone, Copy, Default)]
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

impl StateMachine {
    /// An empty state.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            latest: Timestamp::default(),
            noted: Timestamp::default(),
            sessions: HashMap::new(),
            tokens: HashMap::new(),
            names: BTreeMap::new(),
            answers: Answers::default(),
            index: Index::default(),
            guests: Guests::default(),
            ended: 0,
            bytes: 0,
            rested: false,
            low: false,
        }
    }

    /// A state to be replayed. [`StateMachine::wake`] makes it ready for use.
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
        (self.index.ids.len(), self.ended, self.tokens.len())
    }

    /// Decides an operation. The store itself checks and closes.
    pub(crate) fn decide(&self, now: Timestamp, operation: &Operation) -> Decision {
        match operation.subject() {
            Subject::Session(id) => self.decide_on(now, id, None, operation),
            Subject::Token(digest) => self.decide_on_token(now, Some(&digest), operation),
            Subject::Name(name) => self.decide_on_token(now, self.names.get(&name), operation),
            Subject::Store => match operation {
                Operation::Sessions { after, at_most } => self.sessions(now, *after, *at_most),
                Operation::Tokens { after, at_most } => self.tokens(now, *after, *at_most),
                Operation::Sweep { at_most } => self.sweep(now, *at_most),
                _ => Decision::only(()),
            },
        }
    }

    fn decide_on_token(
        &self,
        now: Timestamp,
        digest: Option<&Digest>,
        operation: &Operation,
    ) -> Decision {
        let held = digest.and_then(|digest| self.tokens.get(digest));
        match held.filter(|held| now < held.due_at).map(|held| &*held.token) {
            Some(token) => self.decide_on(now, token.session, Some(token), operation),
            None => Decision::only(without_token(operation)),
        }
    }

    /// Lets the session decide, and adds what the decision means for the others: what makes room
    /// for it, and what a restart must find of it.
    fn decide_on(
        &self,
        now: Timestamp,
        id: SessionId,
        token: Option<&Token>,
        operation: &Operation,
    ) -> Decision {
        let entry = self.sessions.get(&id);
        let decide = |operation: &Operation| match entry {
            Some(entry) => entry.state.decide(now, token, operation),
            None => SessionState::absent(id).decide(now, token, operation),
        };
        match operation {
            Operation::Resume { .. } => {
                let mut decision = decide(operation);
                if entry.is_some_and(|entry| entry.must_save(now))
                    && let Some(used @ Change::Touched { .. }) = decision.changes.first_mut()
                {
                    *used = Change::Seen { id, at: now };
                }
                decision
            }
            Operation::Create { .. } | Operation::Patch { .. } | Operation::Mint { .. } => {
                self.admit(now, entry, decide(operation))
            }
            Operation::Redeem { .. } => {
                let mut decision = decide(operation);
                if token.is_some_and(|token| self.noted >= token.expires_at) {
                    decision.changes.retain(|change| !matches!(change, Change::Noted { .. }));
                }
                decision
            }
            Operation::Conclude { conclusion } if self.is_too_large(conclusion) => {
                let conclusion = Conclusion { ending: Ending::TooLarge, ..conclusion.clone() };
                decide(&Operation::Conclude { conclusion })
            }
            Operation::Conclude { .. } => self.keeping(decide(operation)),
            _ => decide(operation),
        }
    }

    /// Applies what was decided, as row `row` of a journal, and builds the result.
    pub(crate) fn perform(&mut self, row: u64, decision: Decision) -> Performed {
        for change in &decision.changes {
            self.apply(row, change);
        }
        let (changes, answer) = decision.reply(|id| self.opened(id));
        Performed { answer, changes }
    }

    /// Whether every change of a session is in a row up to `row`.
    pub(crate) fn is_settled(&self, id: SessionId, row: u64) -> bool {
        self.sessions.get(&id).is_none_or(|entry| entry.rows.last <= row)
    }

    /// Whether a restart would treat a session as used up to `now`, whatever it finds in the
    /// journal.
    pub(crate) fn is_covered(&self, id: SessionId, now: Timestamp) -> bool {
        let living = self.sessions.get(&id).and_then(|entry| Some((entry, entry.record()?)));
        living
            .is_some_and(|(entry, record)| now <= entry.saved_at.after(record.lifetime.touch_lag()))
    }

    fn living(&self, id: SessionId, now: Timestamp) -> Option<&SessionState> {
        let entry = self.sessions.get(&id)?;
        entry.state.living(now).map(|_| &entry.state)
    }

    /// The session as it is. `None` once it has ended.
    pub(crate) fn opened(&self, id: SessionId) -> Option<Opened> {
        self.sessions.get(&id)?.state.opened()
    }

    fn sessions(&self, now: Timestamp, after: Option<SessionId>, at_most: usize) -> Decision {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.index.ids.range((from, Bound::Unbounded));
        let page = ids.filter_map(|id| self.living(*id, now)?.opened()).take(at_most);
        Decision::only(page.collect::<Vec<_>>())
    }

    fn tokens(&self, now: Timestamp, after: Option<TokenId>, at_most: usize) -> Decision {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let digests = self.names.range((from, Bound::Unbounded)).map(|(_, digest)| digest);
        let tokens = digests.filter_map(|digest| self.tokens.get(digest)).map(|held| &held.token);
        let unspent = tokens
            .filter(|token| token.is_unspent(now) && self.living(token.session, now).is_some());
        let page = unspent.take(at_most).map(|token| Token::clone(token));
        Decision::only(page.collect::<Vec<_>>())
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

impl Entry {
    fn absent(id: SessionId) -> Self {
        let never = Timestamp::default();
        let (state, rows) = (SessionState::absent(id), Rows::default());
        Self { state, saved_at: never, due_at: never, rows, bytes: 0, place: None }
    }

    fn record(&self) -> Option<&Arc<Record>> {
        match &self.state.life {
            Life::Living(record) => Some(record),
            Life::Absent | Life::Ended(_) => None,
        }
    }

    /// Whether a use must be recorded. It is once half of the lag has passed. The other half
    /// covers the time that the change takes to become durable.
    fn must_save(&self, now: Timestamp) -> bool {
        self.record()
            .is_some_and(|record| now.since(self.saved_at) >= record.lifetime.touch_lag() / 2)
    }

    /// Whether it contains nothing.
    fn is_blank(&self) -> bool {
        let SessionState { life, unspent, answers, .. } = &self.state;
        matches!(life, Life::Absent) && unspent.is_empty() && answers.is_empty()
    }
}

/// Numbers only.
impl fmt::Debug for StateMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (living, ended, tokens) = self.census();
        write!(f, "StateMachine({living} sessions, {ended} ended, {tokens} tokens)")
    }
}
