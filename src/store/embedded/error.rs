//! Errors on opening the embedded store, with how to fix them.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// The embedded store cannot be opened. Nothing was changed.
#[derive(Debug)]
pub struct OpenError {
    /// The directory or file.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: OpenErrorKind,
    /// The underlying error, if it adds information.
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// Another process, or another store of this one, has it open.
    Locked,
    /// The operating system reported an error.
    Io,
    /// The stored data cannot be decoded.
    Corrupt,
    /// A later version of callgate wrote it.
    Newer,
}

impl OpenError {
    pub(super) fn new(path: impl Into<PathBuf>, kind: OpenErrorKind) -> Self {
        Self { path: path.into(), kind, cause: None }
    }

    #[must_use]
    pub(super) fn because(self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            OpenErrorKind::Locked => write!(
                f,
                "store {path}: another process has it open; stop that one, or give this one \
                 another directory"
            ),
            OpenErrorKind::Io => write!(
                f,
                "store {path}: it cannot be read or written; see that the directory belongs to \
                 the user callgate runs as and that the disk has room"
            ),
            OpenErrorKind::Corrupt => write!(
                f,
                "store {path}: what is stored there cannot be understood; put a backup in its \
                 place, or move it away to start empty"
            ),
            OpenErrorKind::Newer => write!(
                f,
                "store {path}: a later version of callgate wrote it; start that version, or give \
                 this one another directory"
            ),
        }
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
