//! Errors of a session, with texts for the author of a handler.

use std::fmt;

use crate::base::failpoint::Broken;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::rates::Wait;
use crate::session::storage::StorageFull;
use crate::store::StoreError;
use crate::token::MintRefused;

/// Something a session cannot do.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed. The error says whether it may have done something.
    Store(StoreError),
    /// The session ended while the handler ran.
    Ended,
    /// The session is open, and the right of this request to it has ended: another browser has
    /// gained privileges in it since, taken it over by a `transfer`, or ended this browser's
    /// access. Nothing was read or written. A handler that passes this on responds with 409 and
    /// `Retry-After: 0`: a retry comes with the newer cookie, if the browser has one.
    Replaced,
    /// The request is in a `context` that `auto` chose for a client that is no browser, perhaps a
    /// mail scanner. No privileges can be gained there; set `context` in the row or at the mint
    /// where a program is to gain them. A handler that passes this on responds with 403.
    ContextMayNotGain,
    /// The session would outgrow its limits.
    TooLarge,
    /// The session has as many unspent tokens as it may.
    TooManyTokens,
    /// This session, or this client, does it more often than it may; nothing was done. A handler
    /// that passes this on responds with 429 and `Retry-After`.
    TooOften(Wait),
    /// The write would create a session, and too many were created just now; nothing was written. A
    /// handler that passes this on responds with 503 and `Retry-After`.
    TooManyGuests(Wait),
    /// The value cannot be kept as JSON.
    NotJson(String),
    /// The stored value of this key cannot be read as the type that was asked for.
    OtherType {
        /// The storage key.
        key: String,
        /// The name of the type.
        wanted: &'static str,
    },
    /// A storage key, user name or path that is not acceptable, with the reason.
    Refused(String),
    /// So many requests changed the key at once that this one always lost.
    Contended,
    /// No token can be made.
    Mint(MintRefused),
    /// Callback URLs need the setting `public_origin`.
    NoPublicOrigin,
    /// The setting `sessions` is `"off"`; nothing was read or written.
    Off,
}

impl SessionError {
    /// A stable error code, for handlers that are not written in Rust.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "storeUnavailable",
            Self::Ended => "sessionEnded",
            Self::Replaced => "sessionReplaced",
            Self::ContextMayNotGain => "contextMayNotGain",
            Self::TooLarge => "tooLarge",
            Self::TooManyTokens => "tooManyTokens",
            Self::TooOften(_) => "tooOften",
            Self::TooManyGuests(_) => "tooManyGuests",
            Self::NotJson(_) => "notJson",
            Self::OtherType { .. } => "otherType",
            Self::Refused(_) => "refused",
            Self::Contended => "contended",
            Self::Mint(MintRefused::NoEntropy) => "noRandomness",
            Self::Mint(MintRefused::TooManyHandlers) => "tooManyHandlers",
            Self::NoPublicOrigin => "noPublicOrigin",
            Self::Off => "sessionsOff",
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Ended => f.write_str("the session has ended; nothing was written"),
            Self::Replaced => f.write_str(
                "the session has put out the browser of this request; nothing was read or written",
            ),
            Self::ContextMayNotGain => f.write_str(
                "privileges cannot be gained in a context that mode \"auto\" chose; set mode \
                 \"context\" in the row or at the mint if a program may gain them",
            ),
            Self::TooLarge => StorageFull.fmt(f),
            Self::TooManyTokens => {
                write!(f, "the session has {TOKENS_PER_SESSION_MAX} unspent tokens already")
            }
            Self::TooOften(wait) => {
                write!(f, "this is done too often; try again in {} s", wait.secs())
            }
            Self::TooManyGuests(wait) => {
                write!(f, "too many sessions were just begun; try again in {} s", wait.secs())
            }
            Self::NotJson(why) => write!(f, "the value cannot be kept as JSON: {why}"),
            Self::OtherType { key, wanted } => {
                write!(f, "the value of the storage key {key:?} cannot be read as {wanted}")
            }
            Self::Refused(why) => f.write_str(why),
            Self::Contended => f.write_str("too many requests are changing this key at once"),
            Self::Mint(refused) => refused.fmt(f),
            Self::NoPublicOrigin => f.write_str(
                "callback URLs need the setting public_origin, such as \"https://shop.example\"",
            ),
            Self::Off => f.write_str("there are no sessions: the setting sessions is \"off\""),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Broken> for SessionError {
    fn from(broken: Broken) -> Self {
        Self::Store(broken.into())
    }
}

impl From<MintRefused> for SessionError {
    fn from(refused: MintRefused) -> Self {
        Self::Mint(refused)
    }
}

impl From<NoEntropy> for SessionError {
    fn from(none: NoEntropy) -> Self {
        Self::Mint(none.into())
    }
}
