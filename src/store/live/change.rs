//! The changes of a store's state, as data.

use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::Device;
use crate::session::Patch;
use crate::session::Record;
use crate::store::live::Due;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;

/// One change.
///
/// A change states its effect and depends on nothing but the entry it names, so a journal whose
/// oldest rows were removed can still be replayed. A change of an unknown entry does nothing,
/// because a full copy further on includes its effect.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A result depended on the present being no earlier than this.
    Noted { at: Timestamp },
    /// A session was created; also the full copy of a session.
    Created { record: Arc<Record>, seen_at: Timestamp },
    /// A patch was accepted. Tokens that its rotation ends have changes of their own.
    /// `next` is the session after it, where that is known.
    Patched { id: SessionId, patch: Patch, next: Option<Arc<Record>> },
    /// A session was used, and a restart must find that.
    Seen { id: SessionId, at: Timestamp },
    /// A session was used so soon after the last use that a restart need not find it.
    Touched { id: SessionId, at: Timestamp },
    /// A browser joined.
    Joined { id: SessionId, device: Device },
    /// A browser was used that others had joined after.
    Used { id: SessionId, device: DeviceId },
    /// A browser lost its right.
    Left { id: SessionId, device: DeviceId },
    /// The other browsers were signed out, and rights without a credential end with the
    /// generation.
    Raised { id: SessionId },
    /// A session ended; also the full copy of a tombstone.
    Ended { id: SessionId, at: Timestamp },
    /// A guest was evicted. Nothing of it is remembered, not even its end.
    Displaced { id: SessionId },
    /// A token was minted; also the full copy of a token, spent or not.
    Minted { token: Arc<Token> },
    /// A redemption won, or a sign-in ended the token.
    Claimed { token: Digest, mark: ClaimMark },
    /// The new state of the run that a redemption began.
    Ran { token: Digest, run: Run },
    /// The kept response of a run was evicted. A decision on one session knows no more of the run;
    /// [`StateMachine::decide`](super::StateMachine::decide) turns it into [`Change::Ran`].
    Unanswered { token: Digest },
    /// An unspent token was revoked.
    Dropped { token: Digest },
    /// A session was still in use when its deadline was reached.
    Postponed { id: SessionId },
    /// The store was closed cleanly, and every use is recorded.
    Rested,
    /// The record of an expired entry was dropped.
    Forgotten { due: Due },
}

impl Change {
    /// Whether a restart must find it. The others only affect what a replay computes by itself.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Touched { .. } | Self::Postponed { .. } | Self::Forgotten { .. })
    }
}

/// The bytes of a change in a journal besides the client's data; rather too many.
const FRAME_BYTES: usize = 512;

impl Change {
    /// Approximate bytes in a journal.
    pub(crate) fn bytes(&self) -> usize {
        let content = match self {
            Self::Created { record, .. } => record.storage.bytes(),
            Self::Patched { patch, .. } => {
                let values = patch.entries.iter();
                values
                    .map(|(key, json)| {
                        key.len() + json.as_ref().map_or(0, |json| json.text().len())
                    })
                    .sum()
            }
            Self::Minted { token } => token.run.as_ref().map_or(0, answer_bytes),
            Self::Ran { run, .. } => answer_bytes(run),
            _ => 0,
        };
        FRAME_BYTES + content
    }

    /// The entry of which this is a full copy, if it is one.
    pub(crate) fn whole(&self) -> Option<Due> {
        match self {
            Self::Created { record, .. } => Some(Due::Session(record.id)),
            Self::Ended { id, .. } => Some(Due::Session(*id)),
            Self::Minted { token } => Some(Due::Token(token.digest)),
            _ => None,
        }
    }
}

/// Approximate bytes of the kept response of a run in a journal, where it is text.
pub(super) fn answer_bytes(run: &Run) -> usize {
    run.answer().map_or(0, |(_, answer)| answer.bytes().len().div_ceil(3) * 4)
}
