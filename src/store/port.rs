//! The interface of a store: a small set of domain operations, each of them atomic.
//!
//! A store may be a map, a file or a server. Each operation happens completely or not at all, in
//! one round trip where the engine allows it. The store returns only when the effect is as durable
//! as it will ever be. `store::contract` checks these promises as a test suite that any store can
//! run.
//!
//! Rules for implementations:
//!
//! 1. **At most one redemption.** Of any number of [`Store::redeem`] calls for one token, one
//!    wins. A retry with the same claim id gets the same result again. A claim that states how
//!    repeats are handled begins a run, and [`Store::conclude`] ends it. No two attempts at the
//!    same callback hold the run at once.
//! 2. **No operation creates on update.** Only [`Store::create`] creates a session. An ended
//!    session is remembered for [`TOMBSTONE`] and cannot be created again.
//! 3. **`now` is the caller's.** A store may be stricter (its own clock may be ahead), and its
//!    time never goes back: what has expired once stays expired, whatever `now` a later call
//!    passes.
//! 4. **A result is durable.** Every result that was returned survives a crash of the process, and
//!    of the machine where the store reports so in [`Store::self_check`].
//! 5. **A dropped future** leaves the operation done or not done, never half done.
//! 6. **The right is checked first.** Each operation that reads or changes a session is given the
//!    [`Right`] it runs under, and checks it before anything else, in the step that has the
//!    effect. Under a right that has ended nothing is changed and nothing of the session is
//!    returned. No operation works without a right: a call on behalf of the operator passes
//!    [`Right::Operator`].
//!
//! [`TOMBSTONE`]: crate::base::limits::TOMBSTONE

mod conclusion;
mod records;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::ClaimId;
use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::mode::Caller;
use crate::session::Device;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::token::Attempt;
use crate::token::Consent;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::ReplayOptions;
use crate::token::Token;

pub use conclusion::{Concluded, Conclusion, Ending};
pub use records::{RECORD_BYTES_MAX, RECORD_KEY_BYTES_MAX, RecordChange, Records};

/// The pending result of a store operation.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps sessions and tokens.
pub trait Store: fmt::Debug + Send + Sync {
    /// Opens the session `id` for the browser whose credential has this digest, and counts it
    /// as used at `now`.
    ///
    /// The new last-used time may become durable later than the result, by at most
    /// [`Lifetime::touch_lag`](crate::session::Lifetime::touch_lag). A store that lost it in a
    /// crash extends the session by that much.
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed>;

    /// Creates a session, with its first writes and possibly its first token.
    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created>;

    /// Changes a living session.
    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Pending<'_, Patched>;

    /// Changes a session and stores a new token of it, in one step: whatever the handler wrote
    /// before the mint must be stored when the token is redeemed. The store sets
    /// [`Token::generation`].
    fn mint(&self, now: Timestamp, right: Right, patch: Patch, token: Token)
    -> Pending<'_, Minted>;

    /// Redeems a token and opens its session, in one step.
    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed>;

    /// Stores how the run of a callback ended, before its response is sent, or that the run
    /// continues.
    ///
    /// Only the attempt that holds the run can do so, and it ends once. A retry gets the first
    /// result again.
    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Pending<'_, Concluded>;

    /// Ends one browser's right to a session, and no other right. Returns false if it had none.
    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>>;

    /// Ends a session, every right to it and its tokens, for good.
    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>>;

    /// Revokes an unspent token. Returns false if there is none of that name.
    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool>;

    /// Reads a session without counting it as used.
    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>>;

    /// One page of living sessions in the order of their ids, beginning after `after`.
    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>>;

    /// One page of unspent tokens in the order of their ids, beginning after `after`.
    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>>;

    /// Drops up to `at_most` records that are no longer needed, and returns how many.
    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize>;

    /// The records that are kept beside sessions and tokens.
    fn records(&self) -> &dyn Records;

    /// Checks whether the store can work, and returns what it guarantees.
    fn self_check(&self) -> Pending<'_, Guarantees>;

    /// Completes pending operations and closes. Every later operation is refused.
    fn close(&self) -> Pending<'_, ()>;
}

/// A living session, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The session.
    pub record: Arc<Record>,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// When the last of its unspent tokens expires, until which it lives at least; the epoch if it
    /// has none.
    pub needed_until: Timestamp,
}

impl Opened {
    /// When it ends unless it is used again.
    pub fn ends_at(&self) -> Timestamp {
        self.record.expires_at(self.seen_at, self.needed_until)
    }
}

/// The result of an operation that requires only a living session and a valid right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked<T> {
    /// It is done, with this result.
    Done(T),
    /// The session has ended, or never existed.
    Gone,
    /// The session is alive, and the right to it has ended.
    Replaced,
}

impl<T> Checked<T> {
    /// The result; `None` where there is no session, or no right to it.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(result) => Some(result),
            Self::Gone | Self::Replaced => None,
        }
    }
}

/// The result of [`Store::resume`].
#[derive(Debug, Clone)]
pub enum Resumed {
    /// The session is alive and accepts the credential.
    Open(Opened),
    /// The store has no record of the session.
    Unheard,
    /// The session has ended.
    Closed,
    /// The session is alive, and does not accept the credential (any more).
    Replaced {
        /// When the newest of its browsers joined, if it has any. This is the only information
        /// given, and it lets the caller recognise a request that was overtaken by a response.
        joined_last: Option<Timestamp>,
    },
}

/// A session to be created.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The session with its first browser, without any writes.
    pub record: Record,
    /// The first writes. Their `rotate` replaces the first browser.
    pub patch: Patch,
    /// A token that the first request minted.
    pub token: Option<Token>,
}

/// The result of [`Store::create`].
#[derive(Debug, Clone)]
pub enum Created {
    /// The session was created.
    New(Opened),
    /// Another request of the same browser created it first; nothing was written. The caller
    /// continues with [`Store::patch`] or [`Store::mint`].
    Met(Opened),
    /// The session has ended; nothing was written.
    Closed,
    /// The session is alive, and does not accept the founder's credential (any more); nothing was
    /// written.
    Replaced,
    /// The session would outgrow its limits; nothing was written.
    TooLarge,
}

/// The result of [`Store::patch`].
#[derive(Debug, Clone)]
pub enum Patched {
    /// The session as it is now.
    Done(Opened),
    /// The patch expects an older revision; the session as it is now.
    Conflict(Opened),
    /// The session has ended; nothing was written.
    Gone,
    /// The session is alive, and the right to it has ended; nothing was written.
    Replaced,
    /// The session would outgrow its limits; nothing was written.
    TooLarge,
}

/// The result of [`Store::mint`].
#[derive(Debug, Clone)]
pub enum Minted {
    /// The token can be redeemed; the session as it is now.
    Done(Opened),
    /// The session has as many unspent tokens as it may; nothing was written.
    TooMany,
    /// The session has ended; nothing was written.
    Gone,
    /// The session is alive, and the right to it has ended; nothing was written.
    Replaced,
    /// The session would outgrow its limits, or the patch expects an older revision; nothing was
    /// written.
    Refused,
}

/// One attempt to redeem a token.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The digest of the token.
    pub token: Digest,
    /// The id of this attempt. Only a retry of the very same attempt may use it again.
    pub id: ClaimId,
    /// The handler that is about to run, as `Class.method`.
    pub handler: Arc<str>,
    /// The restore mode that the row sets for the bearer.
    pub row_mode: RestoreMode,
    /// The caller that redeems.
    pub caller: Caller,
    /// The user's consent to it.
    pub consent: Consent,
    /// The session that the request works in so far, with the digest of the credential that
    /// opened it. A browser that redeems a token of its own session keeps its credential.
    pub current: Option<(SessionId, Digest)>,
    /// The credential that the bearer gets if the mode grants one.
    pub newcomer: Device,
    /// How the row handles repeats. `None` if it has no `repeat`, or if the handler itself redeems
    /// the token.
    pub repeat: Option<ReplayOptions>,
}

/// The result of [`Store::redeem`].
#[derive(Debug, Clone)]
pub enum Redeemed {
    /// This attempt won.
    Granted(Grant),
    /// Another attempt won, at this time, and entered this session.
    Used(Timestamp, SessionId),
    /// It has expired.
    Expired,
    /// The store has no such token.
    Unknown,
    /// Its session has ended, so the token opens nothing any more.
    SessionGone,
    /// A rotation ended the unspent tokens of its session, including this one. A store remembers
    /// that until the token would have expired, or for
    /// [`TOMBSTONE`](crate::base::limits::TOMBSTONE) if that is shorter. The token does not count
    /// as unspent.
    EndedBySignIn,
    /// It is for other handlers; nothing changed.
    WrongHandler,
    /// Consent is required first. Nothing changed.
    AskFirst(Question),
    /// It repeats the callback that won at this time, and may not run the handler.
    Repeats(Timestamp, Repeat),
    /// The claim repeats a callback that was cut off or never began, and runs the handler in its
    /// place. The grant adds no device.
    TakenOver(Grant),
}

impl Claim {
    /// The properties that [`Token::judge`] evaluates.
    pub fn attempt(&self) -> Attempt<'_> {
        Attempt {
            id: self.id,
            handler: &self.handler,
            row_mode: self.row_mode,
            caller: self.caller,
            consent: self.consent,
            repeat: self.repeat,
        }
    }
}

/// A redemption that won.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The session, which counts as used now.
    pub opened: Opened,
    /// The public name of the token.
    pub token: TokenId,
    /// What the bearer gets; never [`RestoreMode::Auto`].
    pub mode: RestoreMode,
    /// Whether the newcomer's credential was added. It is not in mode `context`, and not when the
    /// request works in the session already.
    pub joined: bool,
    /// Whether the mode is `context` although neither the row nor the mint requested it. Such a
    /// caller may be any program that follows links, so it gains no privileges for any device.
    pub automatic: bool,
    /// The browser that had been unused longest and was removed to make room for this one.
    pub put_out: Option<DeviceId>,
}

/// What a store guarantees, for its operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantees {
    /// The kind of store, such as `embedded`, without secrets.
    pub store: &'static str,
    /// Whether acknowledged results survive a crash of the process.
    pub survives_crash: bool,
    /// Whether acknowledged results survive a power loss.
    pub survives_power_loss: bool,
    /// Whether several nodes may use it at once.
    pub shared: bool,
    /// Further notes, one sentence each.
    pub notes: Vec<String>,
    /// What is missing for production, which `safety = "strict"` refuses.
    pub lacks: Vec<Lack>,
}

/// A guarantee that a store does not give in its present configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The risk, as a sentence without a full stop.
    pub what: String,
    /// The remedy, as an instruction without a full stop.
    pub remedy: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}
