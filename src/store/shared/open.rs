//! Why a database cannot be opened as a store, with the way out.

use std::error::Error as StdError;
use std::fmt;

/// A database cannot be opened as a store.
#[derive(Debug)]
pub struct OpenError {
    /// What keeps it from being opened.
    pub kind: OpenErrorKind,
    /// Where it is, without secrets.
    store: String,
    /// What was found, and the way out if it is not the same for all of a kind.
    why: String,
}

/// What keeps a database from being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// It does not answer.
    Unreachable,
    /// It answers, and callgate cannot work with it as it is.
    Unfit,
    /// A later version of callgate made what is in it.
    Newer,
}

impl OpenError {
    /// Says what was found at a store; `why` and `store` must be without secrets.
    pub fn new(kind: OpenErrorKind, store: &dyn fmt::Display, why: impl Into<String>) -> Self {
        Self { kind, store: store.to_string(), why: why.into() }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, store, why } = self;
        match kind {
            OpenErrorKind::Unreachable => write!(
                f,
                "store {store}: it cannot be reached ({why}); see that it runs, that the address \
                 is right and that nothing in between refuses connections"
            ),
            OpenErrorKind::Unfit => write!(f, "store {store}: {why}"),
            OpenErrorKind::Newer => write!(
                f,
                "store {store}: a later version of callgate made what is there ({why}); start \
                 that version, or give this one another place"
            ),
        }
    }
}

impl StdError for OpenError {}
