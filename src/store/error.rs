//! Errors between callgate and a store.

use std::error::Error as StdError;
use std::fmt;

use crate::base::failpoint::Broken;

/// A store returned no result that can be acted on.
///
/// An unwelcome result (a used token, an ended session) is no error but an outcome of the
/// operation. The variants state what the caller may do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// No response: the operation may or may not have happened. A redemption counts as spent, and
    /// may be retried only with the same claim id.
    Unreachable(Box<dyn StdError + Send + Sync>),
    /// The store did nothing; the text says why: it is busy, shutting down, or could not be
    /// reached at all.
    Refused(&'static str),
    /// The store did nothing, because it has no room.
    Full,
    /// The stored data cannot be decoded, or the disk failed. The store must not be trusted until
    /// an operator has inspected it.
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

/// Maps an injected failure at this call site to an unreachable store.
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
