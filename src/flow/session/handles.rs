//! A session's handle without what all sessions share, to be kept by what all of them share.

use std::sync::Arc;

use crate::base::SessionId;
use crate::flow::open::RedeemContext;
use crate::flow::session::Bound;
use crate::flow::session::Entry;
use crate::flow::session::Gives;
use crate::flow::session::Session;
use crate::flow::session::state::Phase;
use crate::flow::session::state::RequestState;
use crate::flow::sessions::Sessions;
use crate::session::Credential;
use crate::session::Right;
use crate::store::port::Opened;
use crate::token::Outcome;

/// The handle of a request that is under way.
#[derive(Clone)]
pub(crate) struct ActiveHandle {
    context: Arc<RedeemContext>,
    request: Arc<RequestState>,
}

/// What is left of a request that has ended: which session it was in, and by what right. Its
/// copy of the session is let go, which may be large.
pub(crate) struct EndedHandle {
    context: Arc<RedeemContext>,
    id: SessionId,
    by: By,
    right: Right,
    no_cookie: bool,
    otp: Outcome,
    phase: Phase,
}

/// What the request was let in by.
enum By {
    /// The session was none yet that a store has heard of.
    Guest(Credential),
    Entry(Entry),
}

impl Session {
    /// What all sessions share.
    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The handle, for somebody who would otherwise own himself.
    pub(crate) fn keep(&self) -> ActiveHandle {
        ActiveHandle { context: Arc::clone(&self.context), request: Arc::clone(&self.request) }
    }
}

impl ActiveHandle {
    /// The same handle again.
    pub(crate) fn session(self, sessions: &Arc<Sessions>) -> Session {
        Session { sessions: Arc::clone(sessions), context: self.context, request: self.request }
    }

    /// Lets go of what the request held.
    pub(crate) fn leave(&self, app: &str) -> EndedHandle {
        let state = self.request.lock();
        EndedHandle {
            context: Arc::clone(&self.context),
            id: state.id(),
            by: match &state.bound {
                Bound::Guest(credential) => By::Guest(credential.clone()),
                Bound::Open { entry, .. } => By::Entry(entry.clone()),
            },
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

    /// A handle on the session as the store has shown it to the right of the request. Its answer
    /// has begun, so no cookie can be given any more. `None` for a session that has ended.
    pub(crate) fn session(
        &self,
        sessions: &Arc<Sessions>,
        opened: Option<Opened>,
    ) -> Option<Session> {
        if self.phase == Phase::Ended {
            return None;
        }
        let bound = match (opened, &self.by) {
            (Some(opened), By::Entry(entry)) => Bound::Open { opened, entry: entry.clone() },
            (Some(opened), By::Guest(credential)) => {
                Bound::Open { opened, entry: Entry::Credential(credential.clone()) }
            }
            (None, By::Guest(credential)) => Bound::Guest(credential.clone()),
            (None, By::Entry(_)) => return None,
        };
        let session =
            Session::new(Arc::clone(sessions), (*self.context).clone(), bound, Gives::Newer);
        {
            let mut state = session.lock();
            state.no_cookie = self.no_cookie;
            state.otp = self.otp;
            state.enter(Phase::Answering);
        }
        Some(session)
    }
}
