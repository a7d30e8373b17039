//! Handles on a session without what all sessions share, so that the shared part can keep them.

use std::sync::Arc;

use crate::base::SessionId;
use crate::flow::session::Bound;
use crate::flow::session::Gives;
use crate::flow::session::HeldBy;
use crate::flow::session::Session;
use crate::flow::session::SessionContext;
use crate::flow::session::state::Phase;
use crate::flow::session::state::RequestShared;
use crate::flow::sessions::Sessions;
use crate::session::Right;
use crate::store::port::Opened;
use crate::token::Outcome;

/// The handle of a request that is under way.
#[derive(Clone)]
pub(crate) struct ActiveHandle {
    context: Arc<SessionContext>,
    request: Arc<RequestShared>,
}

/// The rest of a request that has ended: its session, and its right to it. Its copy of the
/// session, which may be large, is dropped.
pub(crate) struct EndedHandle {
    context: Arc<SessionContext>,
    id: SessionId,
    entry: HeldBy,
    /// Whether the session was stored.
    was_stored: bool,
    right: Right,
    no_cookie: bool,
    otp: Outcome,
    phase: Phase,
}

impl Session {
    /// What all sessions share.
    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The handle without the shared part, which may keep it without owning itself.
    pub(crate) fn handle(&self) -> ActiveHandle {
        ActiveHandle { context: Arc::clone(&self.context), request: Arc::clone(&self.request) }
    }
}

impl ActiveHandle {
    /// The same handle again.
    pub(crate) fn session(self, sessions: &Arc<Sessions>) -> Session {
        Session { sessions: Arc::clone(sessions), context: self.context, request: self.request }
    }

    /// Keeps only the reference to the session.
    pub(crate) fn leave(&self, app: &str) -> EndedHandle {
        let state = self.request.lock();
        EndedHandle {
            context: Arc::clone(&self.context),
            id: state.id(),
            entry: state.entry(),
            was_stored: state.opened().is_some(),
            right: state.right(app),
            no_cookie: state.no_cookie,
            otp: state.otp,
            phase: state.phase,
        }
    }
}

impl EndedHandle {
    /// The name of the session.
    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// The right under which the request worked last.
    pub(crate) fn right(&self) -> Right {
        self.right
    }

    /// A handle on the session as the store has shown it to the right of the request. Its response
    /// has begun, so no cookie can be given any more. `None` for a session that has ended.
    pub(crate) fn session(
        &self,
        sessions: &Arc<Sessions>,
        opened: Option<Opened>,
    ) -> Option<Session> {
        if self.phase == Phase::Ended {
            return None;
        }
        let bound = match (opened, self.entry.clone()) {
            (Some(opened), entry) => Bound::Open { opened, entry },
            (None, HeldBy::Credential(credential)) if !self.was_stored => Bound::Guest(credential),
            (None, _) => return None,
        };
        let session =
            Session::new(Arc::clone(sessions), (*self.context).clone(), bound, Gives::Newer);
        {
            let mut state = session.lock();
            state.no_cookie = self.no_cookie;
            state.otp = self.otp;
            state.enter(Phase::Responding);
        }
        Some(session)
    }
}
