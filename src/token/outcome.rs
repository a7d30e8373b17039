//! Every way a redemption can end, as the handler may ask.

use crate::base::Timestamp;

/// The result for the token of a request (docs/CONTRACT.md §6.3).
///
/// A client cannot distinguish them unless the handler reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// The request carried no token.
    #[default]
    Absent,
    /// It was redeemed; the request works in the session that minted it.
    Restored,
    /// It had been redeemed before, at this moment.
    Used {
        /// The time of the redemption that won.
        at: Timestamp,
    },
    /// Its lifespan had ended.
    Expired,
    /// No such token was minted, or it has been forgotten.
    Unknown,
    /// Its session had ended.
    SessionGone,
    /// A sign-in to its session, or a gain of further privileges, ended the tokens that
    /// were unspent: in another tab of the same browser, perhaps.
    EndedBySignIn,
    /// It is bound to other handlers; it was not consumed.
    WrongHandler,
    /// A person must confirm first: the token requires it, or the browser is signed in to another
    /// session. It was not consumed.
    AskFirst,
}

impl Outcome {
    /// The name in the contract, for handlers and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Restored => "restored",
            Self::Used { .. } => "used",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::SessionGone => "sessionGone",
            Self::EndedBySignIn => "endedBySignIn",
            Self::WrongHandler => "wrongHandler",
            Self::AskFirst => "askFirst",
        }
    }

    /// Whether the request works in the session that minted the token.
    pub const fn is_restored(self) -> bool {
        matches!(self, Self::Restored)
    }

    /// Whether a token was carried and refused.
    pub const fn is_refused(self) -> bool {
        !matches!(self, Self::Absent | Self::Restored | Self::AskFirst)
    }
}
