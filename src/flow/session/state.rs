//! The session that a request works in and what it has drafted, shared by all of its handles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::RwLock;
use tokio::sync::RwLockReadGuard;
use tokio::sync::RwLockWriteGuard;

use crate::base::SessionId;
use crate::flow::binding::Binding;
use crate::flow::session::draft::Draft;
use crate::session::Access;
use crate::session::Credential;
use crate::session::JsonText;
use crate::session::Right;
use crate::store::port::Opened;
use crate::token::Outcome;

/// The state of one request and the locks of its handles.
pub(crate) struct RequestShared {
    state: Mutex<RequestState>,
    /// Held while an upstream writes. Its writes are serialized, and none of them overlaps the
    /// start of the response.
    pub(in crate::flow) turn: tokio::sync::Mutex<()>,
    /// Held shared while a verb of the store is done under the request's right, and alone while
    /// that right may change: operations that one request does concurrently all continue under the
    /// new one.
    right: RwLock<()>,
}

/// Keeps the right of a request as it is, until this is dropped.
pub(in crate::flow) struct RightGuard<'d> {
    _shared: Option<RwLockReadGuard<'d, ()>>,
    _alone: Option<RwLockWriteGuard<'d, ()>>,
}

/// What changes in the course of a request.
#[derive(Debug)]
pub(in crate::flow) struct RequestState {
    pub(in crate::flow) bound: Bound,
    pub(in crate::flow) draft: Draft,
    /// Earlier drafts that are being written at this moment, oldest first.
    pub(in crate::flow) writing: Vec<Arc<Draft>>,
    /// The credential that the response gives to the browser.
    pub(in crate::flow) cookie: Option<Credential>,
    /// Which credentials it may give.
    pub(in crate::flow) gives: Gives,
    /// Whether the client must not be given any cookie (`context`).
    pub(in crate::flow) no_cookie: bool,
    /// The outcome of the token that the handler gave to `restore` last; `None` if it gave none.
    pub(in crate::flow) restore_outcome: Option<Outcome>,
    /// Whether the browser was given its credential a second time, because it has lost the first
    /// response.
    pub(in crate::flow) regranted: bool,
    /// The binding that the browser sent, or was given by this request.
    pub(in crate::flow) binding: Option<Binding>,
    /// Whether the response has to give it to the browser.
    pub(in crate::flow) binds: bool,
    /// The outcome of the token of the request itself.
    pub(in crate::flow) otp: Outcome,
    pub(in crate::flow) phase: Phase,
    /// Privileges for as long as the function of the request runs.
    pub(in crate::flow) promoted: Access,
}

/// The phase of a request, which decides what its browser can still be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::flow) enum Phase {
    /// The handler may still run.
    Working,
    /// The response has begun: the browser can be given nothing more.
    Responding,
    /// An upstream has ended the session; further operations fail.
    Ended,
}

/// Which session cookie a response may give the browser, by what its request had.
///
/// Browsers keep whichever cookie arrives last. A late response must not replace a credential that
/// another response has given meanwhile, so a guest's credential is given only to a browser that
/// cannot hold a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// The request had no credential: a guest's, at once.
    NewGuest,
    /// It had a guest's that is becoming old: the same one with a new date, if the session is still
    /// not stored when the response is sent.
    Renewed,
    /// What it had opens nothing any more: a guest's, once something was written.
    GuestOnceWritten,
    /// It had one that is valid, or that a sign-in has just ended: only what a sign-in or a
    /// redemption of its own gains.
    Newer,
    /// It had several that are authentic: nothing, or one of them would be overwritten.
    Nothing,
}

/// The session that the request is bound to.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    /// Nothing is stored; the first write creates a session with this credential.
    Guest(Credential),
    /// In a stored session.
    Open {
        /// The session as it was last read.
        opened: Opened,
        /// What gave the request its right.
        entry: HeldBy,
    },
}

/// The origin of a request's right to the session, which determines the right.
#[derive(Debug, Clone)]
pub(crate) enum HeldBy {
    /// The browser has this credential of the session.
    Credential(Credential),
    /// A redemption in mode `context`; the client has nothing that opens the session.
    Context {
        /// The generation of the session then.
        generation: u64,
        /// Whether `auto` chose `context` ([`Grant::automatic`]).
        ///
        /// [`Grant::automatic`]: crate::store::port::Grant::automatic
        automatic: bool,
    },
}

impl RequestShared {
    pub(in crate::flow) fn new(bound: Bound, gives: Gives, binding: Option<Binding>) -> Self {
        let cookie = match (&bound, gives) {
            (Bound::Guest(guest), Gives::NewGuest | Gives::Renewed) => Some(guest.clone()),
            _ => None,
        };
        let state = RequestState {
            bound,
            draft: Draft::default(),
            writing: Vec::new(),
            cookie,
            gives,
            no_cookie: false,
            restore_outcome: None,
            regranted: false,
            binding,
            binds: false,
            otp: Outcome::Absent,
            phase: Phase::Working,
            promoted: Access::default(),
        };
        let (state, turn) = (Mutex::new(state), tokio::sync::Mutex::new(()));
        Self { state, turn, right: RwLock::new(()) }
    }

    /// Waits until the right of the request does not change, for a verb that is done under it.
    pub(in crate::flow) async fn share_right(&self) -> RightGuard<'_> {
        RightGuard { _shared: Some(self.right.read().await), _alone: None }
    }

    /// Waits until nothing is done under the right of the request, for a verb that may change it.
    pub(in crate::flow) async fn lock_right(&self) -> RightGuard<'_> {
        RightGuard { _shared: None, _alone: Some(self.right.write().await) }
    }

    /// The state. Nothing is awaited while it is locked.
    pub(in crate::flow) fn lock(&self) -> MutexGuard<'_, RequestState> {
        // No code of a handler runs under the lock, so a handler that panics leaves nothing half
        // changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestState {
    /// Enters a phase, unless a later one is reached.
    pub(in crate::flow) fn enter(&mut self, phase: Phase) {
        self.phase = self.phase.max(phase);
    }

    /// Gives the browser this credential, if it may replace the one that the browser may have.
    pub(in crate::flow) fn give(&mut self, credential: Credential) {
        let may = match self.gives {
            Gives::NewGuest | Gives::GuestOnceWritten => true,
            Gives::Renewed | Gives::Newer => !credential.is_guest(),
            Gives::Nothing => false,
        };
        if may {
            self.cookie = Some(credential);
        }
    }

    /// The session is stored: the credential of the browser needs no new date.
    pub(in crate::flow) fn drop_renewal(&mut self) {
        if self.gives == Gives::Renewed && self.cookie.as_ref().is_some_and(Credential::is_guest) {
            self.cookie = None;
        }
    }

    pub(in crate::flow) fn id(&self) -> SessionId {
        match &self.bound {
            Bound::Guest(credential) => credential.session(),
            Bound::Open { opened, .. } => opened.record.id,
        }
    }

    pub(in crate::flow) fn opened(&self) -> Option<&Opened> {
        match &self.bound {
            Bound::Guest(_) => None,
            Bound::Open { opened, .. } => Some(opened),
        }
    }

    pub(in crate::flow) fn credential(&self) -> Option<&Credential> {
        match &self.bound {
            Bound::Guest(credential)
            | Bound::Open { entry: HeldBy::Credential(credential), .. } => Some(credential),
            Bound::Open { entry: HeldBy::Context { .. }, .. } => None,
        }
    }

    /// The right under which the request works. A guest works under the credential with which its
    /// first write creates a session.
    pub(in crate::flow) fn right(&self, app: &str) -> Right {
        match self.entry() {
            HeldBy::Credential(credential) => Right::Credential(credential.digest(app)),
            HeldBy::Context { generation, .. } => Right::Grant { generation },
        }
    }

    /// Whether the request is in a `context` that `auto` chose.
    pub(in crate::flow) fn is_automatic(&self) -> bool {
        matches!(self.bound, Bound::Open { entry: HeldBy::Context { automatic: true, .. }, .. })
    }

    /// Replaces the view by the state in the store.
    pub(in crate::flow) fn adopt(&mut self, opened: Opened) {
        self.bound = Bound::Open { opened, entry: self.entry() };
    }

    /// What gives the request its right.
    pub(in crate::flow) fn entry(&self) -> HeldBy {
        match &self.bound {
            Bound::Guest(credential) => HeldBy::Credential(credential.clone()),
            Bound::Open { entry, .. } => entry.clone(),
        }
    }

    /// What the request has written and not yet read back from the store, oldest first.
    fn drafts(&self) -> impl DoubleEndedIterator<Item = &Draft> {
        self.writing.iter().map(|draft| &**draft).chain([&self.draft])
    }

    /// Takes back what is being written, to be written again: the future that writes it may never
    /// be polled again. What it has stored by then is stored twice, to the same effect.
    pub(in crate::flow) fn put_back_writing(&mut self) {
        while let Some(draft) = self.writing.pop() {
            self.draft.put_back(Draft::clone(&draft));
        }
    }

    /// Drops what the request has written and not stored.
    pub(in crate::flow) fn drop_drafts(&mut self) {
        self.draft = Draft::default();
        self.writing.clear();
    }

    /// The privileges of the session's user, drafts included.
    pub(in crate::flow) fn access(&self) -> Access {
        let stored = self.opened().map(|opened| opened.record.access.clone());
        let changes = self.drafts().filter(|draft| draft.access.is_some());
        changes.fold(stored.unwrap_or_default(), |access, draft| draft.access_over(&access))
    }

    /// The idle timeout that the request has set.
    pub(in crate::flow) fn drafted_idle_minutes(&self) -> Option<u32> {
        self.drafts().rev().find_map(|draft| draft.idle_minutes)
    }

    /// The whole storage, drafts included.
    pub(in crate::flow) fn storage(&self) -> BTreeMap<Arc<str>, JsonText> {
        let stored = self.opened().into_iter().flat_map(|opened| opened.record.storage.entries());
        let mut all: BTreeMap<Arc<str>, JsonText> =
            stored.map(|(key, entry)| (Arc::clone(key), entry.json.clone())).collect();
        for (key, json) in self.drafts().flat_map(|draft| &draft.entries) {
            match json {
                Some(json) => all.insert(Arc::clone(key), json.clone()),
                None => all.remove(key),
            };
        }
        all
    }

    /// Whether there is nothing to write. Where nothing is stored there is nothing to remove, so a
    /// guest without writes costs nothing.
    pub(in crate::flow) fn is_idle(&self, draft: &Draft) -> bool {
        draft.is_empty() || (self.opened().is_none() && draft.only_takes_away())
    }

    pub(in crate::flow) fn find(&self, key: &str) -> Option<JsonText> {
        match self.drafts().rev().find_map(|draft| draft.entries.get(key)) {
            Some(json) => json.clone(),
            None => self.opened()?.record.storage.find(key).map(|entry| entry.json.clone()),
        }
    }
}
