//! What a database must do to keep sessions for many nodes: a few steps, each of them atomic.
//!
//! An engine stores rows and decides nothing that [`live`](crate::store::live) decides: a verb
//! reads a session, decides in the node, and writes under the version that it read. The one
//! exception is [`Engine::claim`]. A redemption shall cost one round trip, so the engine grants
//! the plain cases itself and hands everything else back undecided.
//!
//! Rules for whoever implements it:
//!
//! 1. **One session is one thing.** Whatever is written about a session or its tokens goes through
//!    its row and gives it a new version, which the node chooses ([`ClaimOrder::next`],
//!    [`Commit::next`]) and nobody has chosen before: where a replica takes over that has not heard
//!    of the last writes, a number that is counted up would come again with another content. (Only
//!    a sweep counts on: of a row that it ends nothing is left but the end.) Where a database locks,
//!    it locks the session's row first.
//! 2. **No step creates on update.** Only a commit that expects [`Expect::Absent`] makes a row.
//! 3. **An answer is a fact**, as durable as [`Engine::check`] says.
//! 4. **Nothing is read from a replica**, and nothing that writes is sent a second time by the
//!    engine unless the database is known not to have executed it.
//! 5. **A token is fenced.** It is minted under the incarnation of the database that acknowledged
//!    it (what changes when a standby takes over or an older state comes back), and no other
//!    incarnation grants it: whether it was used may be what was lost.
//! 6. Moments are milliseconds since the epoch, as the node gives them.

use std::fmt;
use std::time::Duration;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::store::port::Guarantees;
use crate::store::port::Pending;

/// A database that many nodes use at once.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Reads the row of a session.
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>>;

    /// Reads a token and the row of its session.
    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>>;

    /// Grants a token if the case is plain, and reads it and its session as they were before.
    ///
    /// Plain is: the token is unclaimed, fenced to this incarnation, not expired at `order.now`,
    /// for `order.handler` or for any; nobody must be asked; the session has not ended, neither
    /// by its `ended_at` nor by its time (its idle timeout or, if that is later, the end of its last
    /// unspent token; and its absolute limit); the mode is not transfer; and if somebody joins, there
    /// is room for him. Then in one step: the token gets the claim (and the run, if there is
    /// one); it is taken off the session's unspent ones; unless the mode is context or the
    /// request works in this session already, `order.newcomer` joins; the session was used at
    /// `order.now` and has the version `order.next`.
    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed>;

    /// Writes all of it, or nothing if the session is not as expected any more.
    fn commit(&self, commit: Commit) -> Pending<'_, Committed>;

    /// Moves the moments at which living sessions were last used; never back, never creates, and
    /// no version moves.
    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()>;

    /// One page of sessions that have not been ended (their time may be over), in the order of
    /// their ids.
    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>>;

    /// One page of unclaimed tokens of sessions that have not been ended, in the order of their
    /// names. Their time, or that of their session, may be over.
    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>>;

    /// Ends sessions whose time is over (their content goes, a row with `ended_at = now` stays
    /// until [`TOMBSTONE`](crate::base::limits::TOMBSTONE) later), drops rows of ended sessions
    /// and tokens at `forget_at`; `at_most` rows, and how many it were.
    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize>;

    /// Drops guests, with their unspent tokens and without a trace, until the others fit in the
    /// share: first those that hold no unspent token, and of them those that were idle longest.
    fn trim(&self, share: Share) -> Pending<'_, Trimmed>;

    /// How far the clock of the database was ahead of this machine's when they were compared
    /// last; zero if it was behind.
    fn ahead(&self) -> Duration;

    /// Asks whether the database can work, and what it guarantees.
    fn check(&self) -> Pending<'_, Guarantees>;

    /// Closes the connections.
    fn close(&self) -> Pending<'_, ()>;
}

/// A session as a database keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionRow {
    /// Another one after every commit, claim and end; from 1 to 2^62.
    pub version: u64,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// How long it lives unused, in milliseconds.
    pub idle_ms: u64,
    /// When it ends however busy it is; [`NEVER`] if it does not.
    pub absolute_at: Timestamp,
    /// When it ended; `None` while nobody has noticed an end. An ended row has no content.
    pub ended_at: Option<Timestamp>,
    /// The record as versioned bytes, without those who joined since.
    pub doc: Vec<u8>,
    /// The devices that claims let in since `doc` was written: the `newcomer` of each, in order.
    pub joined: Vec<Vec<u8>>,
    /// The digests of all devices, `doc` and `joined`, in order.
    pub devices: Vec<Digest>,
    /// The tokens that nobody has claimed; their time may be over.
    pub unspent: Vec<Unspent>,
    /// The tokens whose answers are kept for repeats.
    pub answers: Vec<KeptAnswer>,
}

/// The far end of time, within what databases count in (64 bits with a sign).
pub const NEVER: Timestamp = Timestamp::from_millis(1 << 62);

/// An unclaimed token, as its session knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unspent {
    /// Its digest.
    pub digest: Digest,
    /// Its name.
    pub id: TokenId,
    /// When it is refused from on.
    pub expires_at: Timestamp,
}

/// An answer that is kept for the repeats of a callback, as its session knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The token.
    pub digest: Digest,
    /// When it was kept.
    pub at: Timestamp,
    /// Its size.
    pub bytes: u32,
}

/// A token as a database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its digest.
    pub digest: Digest,
    /// Its name.
    pub id: TokenId,
    /// Its session.
    pub session: SessionId,
    /// When it is refused from on.
    pub expires_at: Timestamp,
    /// When nobody needs to remember it any more.
    pub forget_at: Timestamp,
    /// The handlers that it is for; empty for any.
    pub handlers: Vec<String>,
    /// What the mint wants the bearer to get.
    pub mode: Option<RestoreMode>,
    /// Whom the mint wants asked: 0 never or no wish, 1 foreign browsers, 2 everybody.
    pub confirm: u8,
    /// The browser that minted it.
    pub binding: Option<Digest>,
    /// The claim that won.
    pub claim: Option<(ClaimId, Timestamp)>,
    /// The run of its callback as versioned bytes, without its answer; empty for none.
    pub run: Vec<u8>,
    /// The sealed answer; empty for none.
    pub answer: Vec<u8>,
    /// The token as it was minted, as versioned bytes.
    pub doc: Vec<u8>,
}

/// By what a token is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKey {
    /// By its digest.
    Digest(Digest),
    /// By its public name, while nobody has claimed it.
    Name(TokenId),
}

/// A token and its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The token.
    pub token: TokenRow,
    /// Whether its fence holds: it was minted under this incarnation and not made void since.
    pub fenced: bool,
    /// The session; `None` when it has been forgotten.
    pub session: Option<SessionRow>,
}

/// One attempt to redeem a token, as far as a database looks at it.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// The present.
    pub now: Timestamp,
    /// The digest of the token.
    pub token: Digest,
    /// The name of the attempt.
    pub id: ClaimId,
    /// The handler that is about to answer.
    pub handler: String,
    /// What the row wants the bearer to get.
    pub row_mode: RestoreMode,
    /// Whether [`RestoreMode::Auto`] means share (a browser asks) or context.
    pub auto_shares: bool,
    /// What must be known about whether a person agreed.
    pub asks: Asks,
    /// The session that the request works in, and the credential that opened it.
    pub current: Option<(SessionId, Digest)>,
    /// The digest of the newcomer's credential.
    pub newcomer_digest: Digest,
    /// The newcomer as versioned bytes without line breaks, as it goes into `joined`.
    pub newcomer: Vec<u8>,
    /// The run that a win begins, as `TokenRow::run`, and until when it must be remembered;
    /// `None` if it begins none.
    pub run: Option<(Vec<u8>, Timestamp)>,
    /// Devices that a session may have at most.
    pub devices_max: usize,
    /// The version of the session once it is granted.
    pub next: u64,
}

/// When a claim is no plain case because a person might have to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asks {
    /// The row's wish, if a click may be missing: with the stricter of it and the token's
    /// `confirm`, 2 is no plain case, and 1 is none unless `browser` is the token's `binding`.
    /// `None`: no click is missing.
    pub click: Option<u8>,
    /// The browser that asks.
    pub browser: Option<Digest>,
    /// The session in which the browser is signed in: unless it is the token's or the mode is
    /// context, that is no plain case.
    pub signed_in: Option<SessionId>,
}

/// The answer to [`Engine::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Whether the claim won.
    pub granted: bool,
    /// The token and its session before that; `None` if there is no such token.
    pub found: Option<Found>,
}

/// What guests may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Guests that may stay.
    pub guests: usize,
    /// Bytes that their documents may have together.
    pub bytes: usize,
    /// Guests that may be dropped in one step.
    pub at_most: usize,
    /// The guest for whom there must be room.
    pub spared: Option<SessionId>,
}

/// The answer to [`Engine::trim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Guests that are left.
    pub guests: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Guests that were dropped.
    pub dropped: usize,
}

/// What is to be written about one session.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The session.
    pub id: SessionId,
    /// How it must be found.
    pub expect: Expect,
    /// The version that it has then.
    pub next: u64,
    /// The use that must still be the last one: the session ends for want of a later one.
    pub expect_seen: Option<Timestamp>,
    /// The token whose fence must hold ([`Committed::Unfenced`] if it does not).
    pub expect_fence: Option<Digest>,
    /// The new row, whose own `version` says nothing and whose `seen_at` moves the stored one forward
    /// only. `None` leaves the row as it is, but for its version.
    pub session: Option<SessionRow>,
    /// Whether the new row is that of a guest who lives: then it counts for [`Engine::trim`].
    pub guest: bool,
    /// A token that is minted, under the fence of today.
    pub mint: Option<TokenRow>,
    /// Tokens that have changed.
    pub marks: Vec<Mark>,
    /// Unclaimed tokens that are taken back.
    pub drops: Vec<Digest>,
    /// When the session's row need not be remembered any more unless it is used: for a living
    /// session the end of its time, for an ended one that of its memory.
    pub due_at: Timestamp,
}

/// How a session's row must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Not at all.
    Absent,
    /// With this version.
    Version(u64),
}

/// A change of a token.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The token.
    pub digest: Digest,
    /// What changes.
    pub change: Change,
}

/// What changes about a token.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is claimed. From now on no name finds it.
    Claim {
        /// The attempt, or what stands for a sign-in that ended the token.
        id: ClaimId,
        /// When.
        at: Timestamp,
        /// When it is forgotten, if that is earlier than so far.
        forget_at: Option<Timestamp>,
    },
    /// Its run stands like this now, with this answer (empty for none), to be remembered until
    /// then.
    Run {
        /// As `TokenRow::run`.
        run: Vec<u8>,
        /// As `TokenRow::answer`.
        answer: Vec<u8>,
        /// As `TokenRow::forget_at`.
        forget_at: Timestamp,
    },
    /// Its answer is given up, whatever its run says.
    Unanswered,
    /// Its fence is taken away: it was refused once for its time, and by no clock it comes back.
    Void,
}

/// The answer to [`Engine::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is written.
    Done,
    /// The session is not as expected; nothing is written. It is like this.
    Stale(Option<SessionRow>),
    /// There is a token with this digest already; nothing is written.
    TokenExists,
    /// The fence does not hold; nothing is written.
    Unfenced,
}
