//! What can go wrong between callgate and a store.

use std::error::Error as StdError;
use std::fmt;

use crate::base::failpoint::Broken;

/// A store gave no answer that can be acted on.
///
/// An answer that somebody may dislike (a token that was used, a session that is gone) is no
/// error but an outcome of the verb. The kinds say what may be done next.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// No reply: the operation may or may not have happened. A redemption counts as spent, and
    /// may be asked again only with the same claim id.
    Unreachable(Box<dyn StdError + Send + Sync>),
    /// The store is there and did nothing, because it is busy or shutting down.
    Refused(&'static str),
    /// The store is there and did nothing, because it has no room.
    Full,
    /// What is stored cannot be understood, or the disk failed: nothing may be trusted until a
    /// person has looked at it.
    Corrupt(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(_) => {
                f.write_str("the store did not answer; the operation may or may not have happened")
            }
            Self::Refused(why) => write!(f, "the store refused the operation: {why}"),
            Self::Full => f.write_str("the store has no room"),
            Self::Corrupt(_) => f.write_str("the store failed and has stopped"),
        }
    }
}

/// As a store that was lost sight of at this place.
impl From<Broken> for StoreError {
    fn from(broken: Broken) -> Self {
        Self::Unreachable(Box::new(broken))
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreachable(cause) | Self::Corrupt(cause) => Some(&**cause),
            Self::Refused(_) | Self::Full => None,
        }
    }
}
