//! What can happen to a store's state, as data.

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

/// One thing that happened.
///
/// A change states its effect and depends on nothing but the entry it names, so a journal whose
/// oldest rows were removed can still be replayed. A change of an unknown entry does nothing,
/// because a full copy further on includes its effect.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A result depended on the present being no earlier than this.
    Noted { at: Timestamp },
    /// A session was founded; also the full copy of a session.
    Founded { record: Arc<Record>, seen_at: Timestamp },
    /// A patch was accepted. Tokens that its rotation ends have changes of their own.
    Patched { id: SessionId, patch: Patch },
    /// A session was used, and a restart shall know.
    Seen { id: SessionId, at: Timestamp },
    /// A session was used so soon after the last time that a restart need not know.
    Touched { id: SessionId, at: Timestamp },
    /// A browser was let in.
    Joined { id: SessionId, device: Device },
    /// A browser was used that others had joined after.
    Used { id: SessionId, device: DeviceId },
    /// A browser lost its right.
    Left { id: SessionId, device: DeviceId },
    /// Others were put out: rights without a credential end with the generation.
    Raised { id: SessionId },
    /// A session ended; also the full copy of a tombstone.
    Ended { id: SessionId, at: Timestamp },
    /// A guest made room for others: nothing of it is remembered, not even its end.
    Displaced { id: SessionId },
    /// A token was minted; also the full copy of a token, spent or not.
    Minted { token: Arc<Token> },
    /// A redemption won, or a sign-in ended the token.
    Claimed { token: Digest, mark: ClaimMark },
    /// The run that a redemption began stands like this now.
    Ran { token: Digest, run: Run },
    /// An unspent token was taken back.
    Dropped { token: Digest },
    /// A session was still in use when its deadline was reached.
    Postponed { id: SessionId },
    /// The store was closed in order: what it knew of uses is written down.
    Rested,
    /// The memory of something that is over was given up.
    Forgotten { due: Due },
}

impl Change {
    /// Whether a restart must find it. The others only move what a replay works out by itself.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Touched { .. } | Self::Postponed { .. } | Self::Forgotten { .. })
    }
}

/// The bytes that a change takes in a journal besides what a client put into it; rather too many.
const FRAME_BYTES: usize = 512;

impl Change {
    /// About how many bytes it takes in a journal.
    pub(crate) fn bytes(&self) -> usize {
        let content = match self {
            Self::Founded { record, .. } => record.storage.bytes(),
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

    /// What this is a full copy of, if it is one.
    pub(crate) fn whole(&self) -> Option<Due> {
        match self {
            Self::Founded { record, .. } => Some(Due::Session(record.id)),
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
