//! What an operation changes, and its result.

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
pub(super) struct Granted {
    pub(super) session: SessionId,
    pub(super) token: TokenId,
    pub(super) mode: RestoreMode,
    pub(super) automatic: bool,
    pub(super) put_out: Option<DeviceId>,
    /// The credential that may have been added.
    pub(super) newcomer: Digest,
    /// Whether it runs a callback in place of an attempt that was cut off.
    pub(super) takes_over: bool,
}

impl Decision {
    /// A result that contains the session after the changes.
    pub(super) fn opened(
        changes: Vec<Change>,
        id: SessionId,
        result: fn(Option<Opened>) -> StoreReply,
    ) -> Self {
        Self { changes, result: Outcome::Opened(id, result) }
    }

    pub(super) fn granted(changes: Vec<Change>, granted: Granted) -> Self {
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
    pub(super) fn full(changes: Vec<Change>) -> Self {
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
        let joined = !self.takes_over && opened.record.device(&self.newcomer).is_some();
        let grant = Grant { opened, token, mode, joined, automatic, put_out };
        if self.takes_over { Redeemed::TakenOver(grant) } else { Redeemed::Granted(grant) }
    }
}
