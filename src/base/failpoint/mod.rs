//! Places where a test breaks callgate off, makes it fail or holds it up (docs/SECURITY.md C-04).
//!
//! A place is one line of shipped code, and nothing at all without the feature `failpoints`. What
//! happens at it is the test's business: it installs a hook, which may end the process, wait, or
//! say that the work fails there.

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(not(feature = "failpoints"))]
mod unarmed;

use std::error::Error;
use std::fmt;

#[cfg(feature = "failpoints")]
pub use armed::{Hook, install, reached};
#[cfg(not(feature = "failpoints"))]
pub use unarmed::reached;

/// A place in the life of a request, of a commit or of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A request is read and its row is found; nothing has been asked of the store.
    Parsed,
    /// A credential is about to be shown to the store.
    Resume,
    /// A session is about to be founded.
    Create,
    /// A token is made and not yet kept.
    Mint,
    /// A token is about to be redeemed.
    BeforeClaim,
    /// A token is redeemed, and the request does not know it yet.
    AfterClaim,
    /// A browser is about to be given a fresh credential for its privileges.
    BeforeRotate,
    /// The store has the fresh credential, and the browser does not.
    AfterRotate,
    /// The handler of a callback that may come again has returned and its writes are kept; its
    /// answer is not.
    BeforeConclude,
    /// The answer of such a callback is kept, and nobody has been told.
    AfterConclude,
    /// The answer is made, and the session cookie is about to be put on it.
    BeforeCookie,
    /// A batch of verbs is decided, and nothing of it is written.
    Batch,
    /// A batch is written and not yet committed.
    BeforeFsync,
    /// A batch is on the disk, and nobody has been told.
    AfterFsync,
    /// A batch counts as durable, and its answers are about to be sent.
    BeforeReply,
    /// What is over is about to be given up.
    Sweep,
    /// A changed table is read and found good, and the old one still answers.
    Reload,
    /// Every request is answered, and the store is about to be closed.
    Close,
}

/// The work fails at this place because a test wants it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub Place);

impl Place {
    /// Every place there is.
    pub const ALL: [Self; 18] = [
        Self::Parsed,
        Self::Resume,
        Self::Create,
        Self::Mint,
        Self::BeforeClaim,
        Self::AfterClaim,
        Self::BeforeRotate,
        Self::AfterRotate,
        Self::BeforeConclude,
        Self::AfterConclude,
        Self::BeforeCookie,
        Self::Batch,
        Self::BeforeFsync,
        Self::AfterFsync,
        Self::BeforeReply,
        Self::Sweep,
        Self::Reload,
        Self::Close,
    ];
}

/// The name of the place, as it is written in the code.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a test has the work fail at the place {}", self.0)
    }
}

impl Error for Broken {}
