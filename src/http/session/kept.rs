//! A session's handle without what all sessions share, to be kept by what all of them share.

use std::sync::Arc;

use crate::base::SessionId;
use crate::http::session::Entry;
use crate::http::session::Gives;
use crate::http::session::Session;
use crate::http::session::Standing;
use crate::http::session::state::Desk;
use crate::http::session::state::Phase;
use crate::http::sessions::RedeemContext;
use crate::http::sessions::Sessions;
use crate::session::Credential;
use crate::session::Right;
use crate::store::port::Opened;
use crate::token::Outcome;

/// The handle of a request that is under way.
#[derive(Clone)]
pub(crate) struct Kept {
    context: Arc<RedeemContext>,
    desk: Arc<Desk>,
}

/// What is left of a request that has ended: which session it was in, and by what right. Its
/// copy of the session is let go, which may be large.
pub(crate) struct Left {
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
    pub(crate) fn house(&self) -> &Arc<Sessions> {
        &self.house
    }

    /// The handle, for somebody who would otherwise own himself.
    pub(crate) fn keep(&self) -> Kept {
        Kept { context: Arc::clone(&self.context), desk: Arc::clone(&self.desk) }
    }
}

impl Kept {
    /// The same handle again.
    pub(crate) fn session(self, house: &Arc<Sessions>) -> Session {
        Session { house: Arc::clone(house), context: self.context, desk: self.desk }
    }

    /// Lets go of what the request held.
    pub(crate) fn leave(&self, app: &str) -> Left {
        let state = self.desk.lock();
        Left {
            context: Arc::clone(&self.context),
            id: state.id(),
            by: match &state.standing {
                Standing::Guest(credential) => By::Guest(credential.clone()),
                Standing::Open { entry, .. } => By::Entry(entry.clone()),
            },
            right: state.right(app),
            no_cookie: state.no_cookie,
            otp: state.otp,
            phase: state.phase,
        }
    }
}

impl Left {
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
    pub(crate) fn session(&self, house: &Arc<Sessions>, opened: Option<Opened>) -> Option<Session> {
        if self.phase == Phase::Ended {
            return None;
        }
        let standing = match (opened, &self.by) {
            (Some(opened), By::Entry(entry)) => Standing::Open { opened, entry: entry.clone() },
            (Some(opened), By::Guest(credential)) => {
                Standing::Open { opened, entry: Entry::Credential(credential.clone()) }
            }
            (None, By::Guest(credential)) => Standing::Guest(credential.clone()),
            (None, By::Entry(_)) => return None,
        };
        let session =
            Session::new(Arc::clone(house), (*self.context).clone(), standing, Gives::Newer);
        {
            let mut state = session.lock();
            state.no_cookie = self.no_cookie;
            state.otp = self.otp;
            state.enter(Phase::Answering);
        }
        Some(session)
    }
}
