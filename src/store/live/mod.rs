//! The state machine that all stores share.
//!
//! Deciding and applying are apart. A verb looks at the state (`&Live`, so it cannot change it)
//! and answers with a `Decided`: what happened, as a short list of `Change`s, and how to say
//! it. Applying a change is the only way the state changes, and it cannot fail:
//!
//! ```text
//!   memory store     lock · decide · apply
//!   embedded store   lock · decide · apply · write the changes down · answer
//!   after a restart  apply
//!   shared store     read one session · decide · apply · write it under its version · answer
//! ```
//!
//! Pure and sync: no lock, no I/O, no clock. The present is an argument, and it never goes back.

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

/// About how many bytes a session takes; what guests may store together follows from it.
pub const BYTES_PER_SESSION: usize = 1024;

impl Config {
    /// Ended sessions that are remembered at most, and tokens that are kept at most.
    fn others_max(self) -> usize {
        self.sessions_max.saturating_mul(4)
    }
}

/// All sessions and tokens of one store.
pub(crate) struct Live {
    config: Config,
    /// The latest moment anybody has named.
    latest: Timestamp,
    /// The latest moment that a change has named, and that a restart will therefore remember.
    noted: Timestamp,
    // Keyed hashing (SipHash with random keys): some of the keys come from clients.
    sessions: HashMap<SessionId, Held>,
    tokens: HashMap<Digest, HeldToken>,
    names: BTreeMap<TokenId, Digest>,
    /// The unspent tokens of each session that has any, in the order they were minted. Apart
    /// from the sessions, because a replay may meet a token before its session.
    tokens_of: HashMap<SessionId, Vec<Digest>>,
    answers: Answers,
    index: Index,
    guests: Guests,
    /// About how many bytes full copies of everything would take in a journal.
    bytes: usize,
    /// Whether nothing has happened since it was closed in order.
    rested: bool,
    /// Whether nothing new is taken, because there is no room for what comes of it.
    low: bool,
}

/// What is known of one session id.
enum Held {
    Living(Living),
    Ended(Tombstone),
}

/// A session that has not ended. Its time may be over all the same.
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
    /// Its place among the guests, if it is one.
    place: Option<Place>,
}

/// The memory of a session that ended.
struct Tombstone {
    ended_at: Timestamp,
    rows: Rows,
}

/// A token and when it is forgotten.
struct HeldToken {
    token: Arc<Token>,
    due_at: Timestamp,
    rows: Rows,
}

/// Where a journal has something; both are 0 where there is no journal.
#[derive(Debug, Clone, Copy)]
struct Rows {
    /// The row with the last full copy: a replay needs nothing older.
    home: u64,
    /// The row with the last change.
    last: u64,
}

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A session that lives, or the memory of one that ended.
    Session(SessionId),
    /// A token.
    Token(Digest),
}

/// How a session stands at one moment.
enum Standing<'a> {
    Living(&'a Living),
    /// Its time is over and nobody has noticed yet.
    Expired,
    Ended,
    Unheard,
}

/// The outcome of a verb that has changed nothing yet.
pub(crate) struct Decided<T> {
    /// What happened.
    pub(crate) changes: Vec<Change>,
    answer: Answer<T>,
}

/// Says what happened, once the changes are applied.
type Answer<T> = Box<dyn FnOnce(&Live) -> Result<T, StoreError> + Send>;

impl<T: Send + 'static> Decided<T> {
    /// An answer to be read off the state that the changes lead to.
    fn after(changes: Vec<Change>, answer: impl FnOnce(&Live) -> T + Send + 'static) -> Self {
        Self { changes, answer: Box::new(move |live| Ok(answer(live))) }
    }

    /// An answer that is known already.
    pub(crate) fn with(changes: Vec<Change>, answer: T) -> Self {
        Self::after(changes, move |_| answer)
    }

    /// An answer, and nothing happened.
    pub(crate) fn only(answer: T) -> Self {
        Self::with(Vec::new(), answer)
    }

    /// There is no room; the changes are what was swept to make some.
    fn full(changes: Vec<Change>) -> Self {
        Self { changes, answer: Box::new(|_| Err(StoreError::Full)) }
    }
}

impl Live {
    /// A state in which nothing has ever happened.
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

    /// A state to be replayed; [`Live::wake`] makes it fit to work.
    pub(crate) fn asleep(config: Config) -> Self {
        Self { index: Index::asleep(), ..Self::new(config) }
    }

    /// Takes no new sessions and tokens while there is no room for them.
    pub(crate) fn set_low(&mut self, low: bool) {
        self.low = low;
    }

    /// The present, given what the caller's clock says: a clock that steps back revives nothing.
    pub(crate) fn present(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The latest moment anybody has named.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// About how many bytes full copies of everything would take in a journal.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Living sessions, ended ones that are remembered, and tokens.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        (self.index.ids.len(), self.sessions.len() - self.index.ids.len(), self.tokens.len())
    }

    /// Applies what was decided, as row `row` of a journal, and answers.
    pub(crate) fn perform<T>(&mut self, row: u64, decided: Decided<T>) -> Performed<T> {
        for change in &decided.changes {
            self.apply(row, change);
        }
        Performed { answer: (decided.answer)(self), changes: decided.changes }
    }

    /// Whether everything that has changed about a session is in a row up to `row`.
    pub(crate) fn is_settled(&self, id: SessionId, row: u64) -> bool {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) => living.rows.last <= row,
            Some(Held::Ended(tombstone)) => tombstone.rows.last <= row,
            None => true,
        }
    }

    /// Whether a restart would take a session for used up to `now`, whatever it finds of that.
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

    /// The session, if it lives and the right to it holds. Every verb that is done under a right
    /// begins with this.
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

    /// The session as it is; `None` once it has ended.
    pub(crate) fn opened(&self, id: SessionId) -> Option<Opened> {
        match self.sessions.get(&id) {
            Some(Held::Living(living)) => Some(living.opened()),
            _ => None,
        }
    }

    /// When a session ended that is remembered as ended.
    pub(crate) fn ended_at(&self, id: SessionId) -> Option<Timestamp> {
        match self.sessions.get(&id) {
            Some(Held::Ended(tombstone)) => Some(tombstone.ended_at),
            _ => None,
        }
    }

    /// The tokens of a session that nobody has claimed, in the order they were minted.
    pub(crate) fn unspent_of(&self, id: SessionId) -> impl Iterator<Item = &Token> {
        let digests = self.tokens_of.get(&id).into_iter().flatten();
        digests.filter_map(|digest| self.tokens.get(digest)).map(|held| &*held.token)
    }

    /// Ends a session that is found to have expired, before anybody hears of it: what is said
    /// once must hold after a restart, when the clock may have stepped back.
    fn noticed(&self, id: SessionId, now: Timestamp) -> Vec<Change> {
        match self.standing(id, now) {
            Standing::Expired => vec![Change::Ended { id, at: now }],
            _ => Vec::new(),
        }
    }
}

/// A verb that has been performed.
pub(crate) struct Performed<T> {
    /// What it answers.
    pub(crate) answer: Result<T, StoreError>,
    /// What happened, for a journal.
    pub(crate) changes: Vec<Change>,
}

impl<T> Performed<T> {
    /// How many guests made room.
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
