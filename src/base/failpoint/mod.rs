//! Fail points: places at which a test can abort callgate, fail an operation or delay it
//! (docs/SECURITY.md C-04).
//!
//! A fail point is one line of shipped code, and compiles to nothing without the feature
//! `failpoints`. The test decides what happens at it: it installs a hook, which may end the
//! process, wait, or make the operation fail.

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

/// A point in the life of a request, a commit or the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The request is read and its row is found; the store has not been called.
    Parsed,
    /// A credential is about to be looked up in the store.
    Resume,
    /// A session is about to be created.
    Create,
    /// A token is made and not yet stored.
    Mint,
    /// A token is about to be redeemed.
    BeforeClaim,
    /// The store has redeemed a token, and the request has not received the result.
    AfterClaim,
    /// A browser is about to get a new credential because its privileges change.
    BeforeRotate,
    /// The store has the new credential, and the browser does not.
    AfterRotate,
    /// The handler of a repeatable callback has returned and its writes are stored; its response is
    /// not.
    BeforeConclude,
    /// The response of a repeatable callback is stored and not yet sent.
    AfterConclude,
    /// The response is ready, and the session cookie is about to be added.
    BeforeCookie,
    /// A batch of operations is decided, and nothing of it is written.
    Batch,
    /// A batch is written and not yet committed.
    BeforeFsync,
    /// A batch is on the disk, and no caller has its result yet.
    AfterFsync,
    /// A batch counts as durable, and its results are about to be returned.
    BeforeReply,
    /// Expired records are about to be deleted.
    Sweep,
    /// A changed table is read and valid, and the old one is still in use.
    Reload,
    /// Every request is finished, and the store is about to be closed.
    Close,
}

/// The operation fails at this point because a test asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub Place);

impl Place {
    /// Every fail point.
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

/// The name of the fail point, as it is written in the code.
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
