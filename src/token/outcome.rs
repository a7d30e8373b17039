//! Every way a redemption can end, as the handler may ask.

use crate::base::Timestamp;

/// What became of the token that a request carried (docs/CONTRACT.md §6.3).
///
/// The client cannot tell these apart unless the handler says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// The request carried none.
    #[default]
    Absent,
    /// It was redeemed; the request works in the session that minted it.
    Restored,
    /// It had been redeemed before, at this moment.
    Used {
        /// When the redemption that won took place.
        at: Timestamp,
    },
    /// Its lifespan was over.
    Expired,
    /// No such token was minted, or it has been forgotten.
    Unknown,
    /// Its session had ended.
    SessionGone,
    /// It is bound to other handlers; it was not consumed.
    WrongHandler,
    /// A person must agree first: the token wants it, or the browser is signed in to another
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
            Self::WrongHandler => "wrongHandler",
            Self::AskFirst => "askFirst",
        }
    }

    /// Whether the request works in the session that minted the token.
    pub const fn is_restored(self) -> bool {
        matches!(self, Self::Restored)
    }

    /// Whether a token was carried and turned down.
    pub const fn is_refused(self) -> bool {
        !matches!(self, Self::Absent | Self::Restored | Self::AskFirst)
    }
}
