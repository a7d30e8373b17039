//! Why a store for many nodes cannot be opened.

use std::fmt;

/// A store that cannot be used as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError {
    /// What is wrong, for whoever decides what to do about it.
    pub kind: OpenErrorKind,
    /// The address of the store, without secrets.
    pub store: String,
    /// What is wrong and the way out, without a full stop.
    pub why: String,
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// Nobody answers there, or whoever answers lets callgate not in.
    Unreachable,
    /// It is too old, a replica, or lacks a permission: a person must change something.
    Unfit,
    /// A later version of callgate has written to it.
    Newer,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {}: {}", self.store, self.why)
    }
}

impl std::error::Error for OpenError {}
