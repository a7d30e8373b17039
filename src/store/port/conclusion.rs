//! The words in which a run is kept alive and ended.

use crate::base::ClaimId;
use crate::base::Digest;
use crate::token::AnswerRight;
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
    /// With this response, which the store keeps as long as it has room.
    Answered {
        /// The response.
        answer: SealedAnswer,
        /// The right on which it depends; `None` if on none. Once it has ended, a repeat gets
        /// the result that the token was used.
        right: Option<AnswerRight>,
    },
    /// With a response that is too large to keep.
    TooLarge,
    /// It is unknown how far the handler ran, or whether all of its writes are stored.
    Interrupted,
    /// The request was refused before its handler, or could not be sent to its upstream at all. A
    /// repeat may run it whatever the row sets.
    NotStarted,
}

/// The result of [`Store::conclude`](super::Store::conclude).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concluded {
    /// The run continues, as requested.
    Renewed,
    /// Repeats get the response.
    Kept,
    /// The run has ended, and there is no response to replay.
    NotKept,
    /// Another attempt has taken the run over; nothing was kept.
    Late,
    /// The store has no such run (any more); nothing was stored.
    Forgotten,
}
