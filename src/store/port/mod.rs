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
mod operation;
mod records;
mod redemption;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::token::Token;

pub use conclusion::{Concluded, Conclusion, Ending};
pub(crate) use operation::Subject;
pub use operation::{Operation, OperationKind, StoreReply, Typed};
pub(crate) use records::on_records;
pub use records::{RecordChange, Records};
pub use redemption::{Claim, Grant, Redeemed};

/// The pending result of a store operation.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps sessions and tokens.
///
/// An implementation performs the [`Operation`]s in [`Store::run`]. The other methods call it, each
/// with one operation, and are not meant to be implemented. A store around another one passes on
/// what it does not change:
///
/// ```
/// # use callgate::base::Timestamp;
/// # use callgate::store::{Pending, Store, port::{Operation, StoreReply}};
/// #[derive(Debug)]
/// struct Logged<S>(S);
///
/// impl<S: Store> Store for Logged<S> {
///     fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
///         println!("{:?}", operation.kind());
///         self.0.run(now, operation)
///     }
/// }
/// ```
pub trait Store: fmt::Debug + Send + Sync {
    /// Performs an operation. Its result must be of the type that the method of that name returns.
    /// Nothing happens before the first poll.
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply>;

    /// Opens the session `id` for the browser whose credential has this digest, and counts it
    /// as used at `now`.
    ///
    /// The new last-used time may become durable later than the result, by at most
    /// [`Lifetime::touch_lag`](crate::session::Lifetime::touch_lag). A store that lost it in a
    /// crash extends the session by that much.
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Typed<'_, Resumed> {
        Typed::new(self.run(now, Operation::Resume { id, credential }))
    }

    /// Creates a session, with its first writes and possibly its first token.
    fn create(&self, now: Timestamp, founding: Founding) -> Typed<'_, Created> {
        let founding = Box::new(founding);
        Typed::new(self.run(now, Operation::Create { founding }))
    }

    /// Changes a living session.
    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Typed<'_, Patched> {
        let patch = Box::new(patch);
        Typed::new(self.run(now, Operation::Patch { id, right, patch }))
    }

    /// Changes a session and stores a new token of it, in one step: whatever the handler wrote
    /// before the mint must be stored when the token is redeemed. The store sets
    /// [`Token::generation`].
    fn mint(&self, now: Timestamp, right: Right, patch: Patch, token: Token) -> Typed<'_, Minted> {
        let (patch, token) = (Box::new(patch), Box::new(token));
        Typed::new(self.run(now, Operation::Mint { right, patch, token }))
    }

    /// Redeems a token and opens its session, in one step.
    fn redeem(&self, now: Timestamp, claim: Claim) -> Typed<'_, Redeemed> {
        Typed::new(self.run(now, Operation::Redeem { claim: Box::new(claim) }))
    }

    /// Stores how the run of a callback ended, before its response is sent, or that the run
    /// continues.
    ///
    /// Only the attempt that holds the run can do so, and it ends once. A retry gets the first
    /// result again.
    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Typed<'_, Concluded> {
        Typed::new(self.run(now, Operation::Conclude { conclusion }))
    }

    /// Ends one browser's right to a session, and no other right. Returns false if it had none.
    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Typed<'_, Checked<bool>> {
        Typed::new(self.run(now, Operation::Detach { id, right, device }))
    }

    /// Ends a session, every right to it and its tokens, for good.
    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Typed<'_, Checked<()>> {
        Typed::new(self.run(now, Operation::End { id, right }))
    }

    /// Revokes an unspent token. Returns false if there is none of that name.
    fn revoke(&self, now: Timestamp, token: TokenId) -> Typed<'_, bool> {
        Typed::new(self.run(now, Operation::Revoke { token }))
    }

    /// Reads a session without counting it as used.
    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Typed<'_, Checked<Opened>> {
        Typed::new(self.run(now, Operation::Look { id, right }))
    }

    /// One page of living sessions in the order of their ids, beginning after `after`.
    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Typed<'_, Vec<Opened>> {
        Typed::new(self.run(now, Operation::Sessions { after, at_most }))
    }

    /// One page of unspent tokens in the order of their ids, beginning after `after`.
    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Typed<'_, Vec<Token>> {
        Typed::new(self.run(now, Operation::Tokens { after, at_most }))
    }

    /// Drops up to `at_most` records that are no longer needed, and returns how many.
    fn sweep(&self, now: Timestamp, at_most: usize) -> Typed<'_, usize> {
        Typed::new(self.run(now, Operation::Sweep { at_most }))
    }

    /// Reads the values of these records, in their order and at one moment.
    fn read_records(&self, keys: Vec<String>) -> Typed<'_, Vec<Option<Vec<u8>>>> {
        Typed::new(self.run(Timestamp::default(), Operation::ReadRecords { keys }))
    }

    /// One page of the records whose keys begin with `prefix`, in the order of the bytes of their
    /// keys, beginning after the key `after`.
    fn list_records(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Typed<'_, Vec<(String, Vec<u8>)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        Typed::new(
            self.run(Timestamp::default(), Operation::ListRecords { prefix, after, at_most }),
        )
    }

    /// Makes every change if each key has the value that its change expects. Otherwise makes none
    /// and returns false.
    fn write_records(&self, changes: Vec<RecordChange>) -> Typed<'_, bool> {
        Typed::new(self.run(Timestamp::default(), Operation::WriteRecords { changes }))
    }

    /// Checks whether the store can work, and returns what it guarantees.
    fn self_check(&self) -> Typed<'_, Guarantees> {
        Typed::new(self.run(Timestamp::default(), Operation::SelfCheck))
    }

    /// Completes pending operations and closes. Every later operation is refused.
    fn close(&self) -> Typed<'_, ()> {
        Typed::new(self.run(Timestamp::default(), Operation::Close))
    }
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
