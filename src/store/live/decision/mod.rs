//! What an operation changes, and its result.

pub(crate) mod runs;
pub(crate) mod sessions;
pub(crate) mod tokens;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::TokenId;
use crate::store::error::StoreError;
use crate::store::live::Change;
use crate::store::port::Grant;
use crate::store::port::Opened;
use crate::store::port::Redeemed;
use crate::store::port::StoreReply;

/// The outcome of an operation that has not changed anything yet.
pub(crate) struct Decision {
    /// What happens.
    pub(crate) changes: Vec<Change>,
    result: Outcome,
}

/// The result of an operation, once its changes are applied.
enum Outcome {
    Known(StoreReply),
    /// It contains the session after the changes.
    Opened(SessionId, fn(Option<Opened>) -> StoreReply),
    Granted(Granted),
    Full,
}

/// A redemption that has won, without its session.
pub(crate) struct Granted {
    pub(crate) session: SessionId,
    pub(crate) token: TokenId,
    pub(crate) mode: RestoreMode,
    pub(crate) automatic: bool,
    pub(crate) put_out: Option<DeviceId>,
    /// The credential that may have been added.
    pub(crate) newcomer: Digest,
    /// Whether it runs a callback in place of an attempt that was cut off.
    pub(crate) takes_over: bool,
    /// Whether the caller is in the session already and keeps its own credential.
    pub(crate) stays: bool,
}

impl Decision {
    /// A result that contains the session after the changes.
    pub(crate) fn opened(
        changes: Vec<Change>,
        id: SessionId,
        result: fn(Option<Opened>) -> StoreReply,
    ) -> Self {
        Self { changes, result: Outcome::Opened(id, result) }
    }

    pub(crate) fn granted(changes: Vec<Change>, granted: Granted) -> Self {
        Self { changes, result: Outcome::Granted(granted) }
    }

    /// A result that is known already.
    pub(crate) fn with(changes: Vec<Change>, result: impl Into<StoreReply>) -> Self {
        Self { changes, result: Outcome::Known(result.into()) }
    }

    /// A result without changes.
    pub(crate) fn only(result: impl Into<StoreReply>) -> Self {
        Self::with(Vec::new(), result)
    }

    /// There is no room. The changes are those of the sweep that tried to make some.
    pub(crate) fn full(changes: Vec<Change>) -> Self {
        Self { changes, result: Outcome::Full }
    }

    /// The changes, and the result, given the session after them.
    pub(crate) fn reply(
        self,
        opened: impl FnOnce(SessionId) -> Option<Opened>,
    ) -> (Vec<Change>, Result<StoreReply, StoreError>) {
        let reply = match self.result {
            Outcome::Known(reply) => Ok(reply),
            Outcome::Opened(id, result) => Ok(result(opened(id))),
            Outcome::Granted(granted) => Ok(granted.reply(opened(granted.session)).into()),
            Outcome::Full => Err(StoreError::Full),
        };
        (self.changes, reply)
    }
}

impl Granted {
    fn reply(&self, opened: Option<Opened>) -> Redeemed {
        let Some(opened) = opened else { return Redeemed::SessionGone };
        let Self { token, mode, automatic, put_out, .. } = *self;
        let joined = !self.stays && opened.record.device(&self.newcomer).is_some();
        let grant = Grant { opened, token, mode, joined, automatic, put_out };
        if self.takes_over { Redeemed::TakenOver(grant) } else { Redeemed::Granted(grant) }
    }
}
