//! The interface that a shared database implements: a few steps, each of them atomic.
//!
//! An engine stores rows and decides nothing that [`live`](crate::store::live) decides. An
//! operation reads a session, decides in the node, and writes under the version that it read. The
//! one exception is [`Engine::claim`]: a redemption must cost one round trip, so the engine grants
//! the plain cases itself and returns everything else undecided.
//!
//! Rules for implementations:
//!
//! 1. **One session is one unit.** Every write to a session or its tokens goes through the
//!    session's row and gives it a new version. The node chooses the version
//!    ([`ClaimOrder::next`], [`Commit::next`]), and no version is ever chosen twice. A counter
//!    would not do: a replica that takes over without the last writes would assign the same number
//!    to different content. (Only a sweep counts on, because nothing but the end is left of a row
//!    that it ends.) Where a database locks, it locks the session's row first.
//! 2. **No step creates on update.** Only a commit that expects [`Expect::Absent`] creates a row.
//! 3. **A result is durable**, as far as [`Engine::check`] reports.
//! 4. **Nothing is read from a replica**, and the engine repeats no write unless the database is
//!    known not to have executed it.
//! 5. **A token is fenced.** It is minted under the incarnation of the database that acknowledged
//!    it. The incarnation changes when a standby takes over or an older state is restored. No
//!    other incarnation grants the token, because the record of its use may be what was lost.
//! 6. Times are milliseconds since the epoch, as the node passes them.

use std::fmt;
use std::time::Duration;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
pub use crate::store::live::{KeptAnswer, Unspent};
use crate::store::port::Guarantees;
use crate::store::port::Pending;
use crate::store::port::Records;

/// A database that many nodes share.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Reads the row of a session.
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>>;

    /// Reads a token and the row of its session.
    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>>;

    /// Grants a token if the case is plain, and returns it and its session as they were before.
    ///
    /// A case is plain if all of this holds. The token is unclaimed, fenced to this incarnation,
    /// not expired at `order.now`, and for `order.handler` or for any handler. No consent is
    /// required. The session has not ended, neither by its `ended_at` nor by its time (its idle
    /// timeout or, if that is later, the end of its last unspent token; and its absolute limit).
    /// The mode is not transfer. If a device joins, there is room for it. Then one step does all
    /// of this: the token gets the claim (and the run, if there is one) and is removed from the
    /// session's unspent ones; `order.newcomer` joins, unless the mode is context or the request
    /// works in this session already; the session is used at `order.now` and gets the version
    /// `order.next`.
    ///
    /// `cases` enumerates the inputs, and every engine must grant what it says. If the node finds
    /// that it would not have granted a token, it takes the claim back ([`TokenChange::Unclaim`]).
    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed>;

    /// Writes everything, or nothing if the session is no longer as expected.
    fn commit(&self, commit: Commit) -> Pending<'_, Committed>;

    /// Moves the last-used times of living sessions forward. It never moves one back, never
    /// creates a row, and changes no version.
    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()>;

    /// One page of sessions that have not been ended, in the order of their ids. They may have
    /// expired.
    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>>;

    /// One page of unclaimed tokens of sessions that have not been ended, in the order of their
    /// names. The tokens or their sessions may have expired.
    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>>;

    /// Ends expired sessions and drops rows of ended sessions and tokens at `forget_at`, up to
    /// `at_most` rows, and returns how many. Ending a session removes its content and keeps a row
    /// with `ended_at = now` until [`TOMBSTONE`](crate::base::limits::TOMBSTONE) later.
    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize>;

    /// Drops guests and their unspent tokens, without tombstones, until the others fit in the
    /// share. Guests without an unspent token go first, and among them those that were idle
    /// longest.
    fn trim(&self, share: Share) -> Pending<'_, Trimmed>;

    /// The records that are kept beside sessions and tokens.
    fn records(&self) -> &dyn Records;

    /// How far the database's clock was ahead of this machine's at the last comparison; zero if it
    /// was behind.
    fn ahead(&self) -> Duration;

    /// Checks whether the database can work, and returns what it guarantees.
    fn check(&self) -> Pending<'_, Guarantees>;

    /// Closes the connections.
    fn close(&self) -> Pending<'_, ()>;
}

/// A session as a database stores it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionRow {
    /// Changes with every commit, claim and end; from 1 to 2^62.
    pub version: u64,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// Its idle timeout, in milliseconds.
    pub idle_ms: u64,
    /// Its absolute limit; [`NEVER`] if it has none.
    pub absolute_at: Timestamp,
    /// When it ended; `None` while no end is recorded. An ended row has no content.
    pub ended_at: Option<Timestamp>,
    /// The record as versioned bytes, without the devices that joined since.
    pub doc: Vec<u8>,
    /// The devices that claims added since `doc` was written: the `newcomer` of each, in order.
    pub joined: Vec<Vec<u8>>,
    /// The digests of all devices, `doc` and `joined`, in order.
    pub devices: Vec<Digest>,
    /// The unclaimed tokens, which may have expired.
    pub unspent: Vec<Unspent>,
    /// The tokens with a response kept for repeats.
    pub answers: Vec<KeptAnswer>,
}

/// The largest time, within what databases count in (64 bits with a sign).
pub const NEVER: Timestamp = Timestamp::from_millis(1 << 62);

/// A token as a database stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its digest.
    pub digest: Digest,
    /// Its name.
    pub id: TokenId,
    /// Its session.
    pub session: SessionId,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When its row may be dropped.
    pub forget_at: Timestamp,
    /// The handlers that it is for; empty for any.
    pub handlers: Vec<String>,
    /// The restore mode that the mint set for the bearer.
    pub mode: Option<RestoreMode>,
    /// When the mint requires consent: 0 never or not set, 1 from foreign browsers, 2 always.
    pub confirm: u8,
    /// The browser that minted it.
    pub binding: Option<Digest>,
    /// The winning claim.
    pub claim: Option<(ClaimId, Timestamp)>,
    /// The run of its callback as versioned bytes, without its response; empty for none.
    pub run: Vec<u8>,
    /// The sealed response; empty for none.
    pub answer: Vec<u8>,
    /// The token as it was minted, as versioned bytes.
    pub doc: Vec<u8>,
}

/// The key by which a token is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKey {
    /// By its digest.
    Digest(Digest),
    /// By its public name, while it is unclaimed.
    Name(TokenId),
}

/// A token and its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The token.
    pub token: TokenRow,
    /// Whether its fence holds: it was minted under this incarnation and not made void since.
    pub fenced: bool,
    /// The session; `None` once it has been forgotten.
    pub session: Option<SessionRow>,
}

/// One attempt to redeem a token, as far as a database evaluates it.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// The present.
    pub now: Timestamp,
    /// The digest of the token.
    pub token: Digest,
    /// The id of the attempt.
    pub id: ClaimId,
    /// The handler that is about to run.
    pub handler: String,
    /// The restore mode that the row sets for the bearer.
    pub row_mode: RestoreMode,
    /// Whether [`RestoreMode::Auto`] means share (for a browser) or context.
    pub auto_shares: bool,
    /// What must be known about consent.
    pub asks: Asks,
    /// The session that the request works in, and the credential that opened it.
    pub current: Option<(SessionId, Digest)>,
    /// The digest of the newcomer's credential.
    pub newcomer_digest: Digest,
    /// The newcomer as versioned bytes without line breaks, as it goes into `joined`.
    pub newcomer: Vec<u8>,
    /// The run that a win begins, as `TokenRow::run`, and until when it must be remembered; `None`
    /// if it begins none.
    pub run: Option<(Vec<u8>, Timestamp)>,
    /// Maximum number of devices of a session.
    pub devices_max: usize,
    /// The version of the session once it is granted.
    pub next: u64,
}

/// When a claim is no plain case because consent might be required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asks {
    /// The `confirm` of the row, if consent may be missing. It is combined with the token's
    /// `confirm`, and the stricter of the two counts: 2 is no plain case, and 1 is one only if
    /// `browser` is the token's `binding`. `None`: no consent is missing.
    pub click: Option<u8>,
    /// The browser that makes the request.
    pub browser: Option<Digest>,
    /// The session in which the browser is signed in. Unless it is the token's or the mode is
    /// context, the case is not plain.
    pub signed_in: Option<SessionId>,
}

/// The result of [`Engine::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Whether the claim won.
    pub granted: bool,
    /// The token and its session before the claim; `None` if there is no such token.
    pub found: Option<Found>,
}

/// The share of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Maximum number of guests.
    pub guests: usize,
    /// Maximum bytes of their documents together.
    pub bytes: usize,
    /// Maximum number of guests dropped in one step.
    pub at_most: usize,
    /// The guest that must not be dropped.
    pub spared: Option<SessionId>,
}

/// The result of [`Engine::trim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Guests that remain.
    pub guests: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Guests that were dropped.
    pub dropped: usize,
}

/// A write to one session.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The session.
    pub id: SessionId,
    /// The state in which it must be found.
    pub expect: Expect,
    /// The version that it gets.
    pub next: u64,
    /// The last-used time that must still be stored, because the session ends for lack of a later
    /// one.
    pub expect_seen: Option<Timestamp>,
    /// The token whose fence must hold ([`Committed::Unfenced`] if it does not).
    pub expect_fence: Option<Digest>,
    /// The new row. Its own `version` is ignored, and its `seen_at` only moves the stored one
    /// forward. `None` changes nothing of the row but its version.
    pub session: Option<SessionRow>,
    /// Whether the new row is that of a living guest, which counts for [`Engine::trim`].
    pub guest: bool,
    /// A token to mint, under the present fence.
    pub mint: Option<TokenRow>,
    /// Changes of tokens.
    pub marks: Vec<Mark>,
    /// Unclaimed tokens to revoke.
    pub drops: Vec<Digest>,
    /// When the session's row may be dropped unless it is used again: for a living session when it
    /// expires, for an ended one when its tombstone does.
    pub due_at: Timestamp,
}

/// The state in which a session's row must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Absent.
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
    pub change: TokenChange,
}

/// The kind of change of a token.
#[derive(Debug, Clone)]
pub enum TokenChange {
    /// It is claimed, and can no longer be found by name.
    Claim {
        /// The attempt, or a placeholder for a sign-in that ended the token.
        id: ClaimId,
        /// When.
        at: Timestamp,
        /// When it is forgotten, if that is earlier than before.
        forget_at: Option<Timestamp>,
    },
    /// The new state of its run and its response (empty for none), to be remembered until
    /// `forget_at`.
    Run {
        /// As `TokenRow::run`.
        run: Vec<u8>,
        /// As `TokenRow::answer`.
        answer: Vec<u8>,
        /// As `TokenRow::forget_at`.
        forget_at: Timestamp,
    },
    /// Its response is dropped, whatever the state of its run.
    Unanswered,
    /// Its claim and its run are taken back, and it can be found by name again. The database
    /// granted it, and the node that sent the claim would not have.
    Unclaim {
        /// When it is forgotten, as before the claim.
        forget_at: Timestamp,
    },
    /// Its fence is removed. It was refused as expired once, and no clock may make it valid again.
    Void,
}

/// The result of [`Engine::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is written.
    Done,
    /// The session is not as expected, and nothing is written. This is its present row.
    Stale(Option<SessionRow>),
    /// There is a token with this digest already; nothing is written.
    TokenExists,
    /// The fence does not hold; nothing is written.
    Unfenced,
}
