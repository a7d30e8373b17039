//! The words in which a run is kept alive and ended.

use crate::base::ClaimId;
use crate::base::Digest;
use crate::token::SealedAnswer;

/// What is reported about a run by the attempt that holds it.
#[derive(Debug, Clone)]
pub struct Conclusion {
    /// The digest of the token.
    pub token: Digest,
    /// The claim that was granted or has taken over.
    pub run: ClaimId,
    /// How it ended, or that it has not.
    pub ending: Ending,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// It has not: its node is alive, and the run counts as under way for another
    /// [`Run::lease`](crate::token::Run::lease).
    Running,
    /// With this answer. The store keeps it as long as there is room for it.
    Answered(SealedAnswer),
    /// With an answer that is too large to be kept.
    TooLarge,
    /// Nobody knows how far the handler came, or whether all of its writes are kept.
    Interrupted,
    /// The request was refused before its handler, or could not be passed on to its upstream at
    /// all: a repeat may run it whatever the row says.
    Unbegun,
}

/// The answer to [`Store::conclude`](super::Store::conclude).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concluded {
    /// The run goes on, as was asked.
    Renewed,
    /// Repeats get the answer.
    Kept,
    /// The run has ended, and there is no answer to give.
    NotKept,
    /// Another attempt has taken the run over; nothing was kept.
    Late,
    /// The store knows of no such run (any more); nothing was kept.
    Forgotten,
}
