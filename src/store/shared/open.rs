//! Errors on opening a store for many nodes.

use std::fmt;

/// A store that cannot be used in its present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError {
    /// The kind of error, for callers that act on it.
    pub kind: OpenErrorKind,
    /// The address of the store, without secrets.
    pub store: String,
    /// What is wrong and how to fix it, without a full stop.
    pub why: String,
}

/// The kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// The server does not respond, or rejects the credentials.
    Unreachable,
    /// It is too old, a replica, or lacks a permission: an operator must change something.
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
