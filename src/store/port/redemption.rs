//! An attempt to redeem a token, and its result.

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
use crate::store::port::Opened;
use crate::token::Attempt;
use crate::token::Consent;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::ReplayOptions;

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

/// The result of [`Store::redeem`](super::Store::redeem).
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
    /// The properties that [`Token::judge`](crate::token::Token::judge) evaluates.
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
