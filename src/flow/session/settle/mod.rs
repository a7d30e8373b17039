//! The operations of a session that use the store: storing what was written, reloading, ending.

pub(crate) mod gain;
pub(crate) mod write_guard;

use std::sync::Arc;

use serde_json::Value;

use crate::base::DeviceId;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::UPDATE_ATTEMPTS_MAX;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::session::Bound;
use crate::flow::session::Gives;
use crate::flow::session::HeldBy;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::flow::session::draft::Unwritten;
use crate::flow::session::settle::gain::gains;
use crate::flow::session::state::Phase;
use crate::session::Credential;
use crate::session::Device;
use crate::session::JsonText;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::port::Checked;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Patched;
use crate::token::Token;

/// One write: the patch, and what the browser gets once it is done.
struct Write {
    patch: Patch,
    /// The credential of a browser that gained privileges.
    renewed: Option<Credential>,
}

/// The result of a write.
enum Written {
    Done(Opened),
    Conflict(Opened),
}

impl Session {
    /// Changes one storage key from its current value, atomically (`null` for a key without a
    /// value). `change` may run several times. Returns what was written.
    pub async fn update(
        &self,
        key: &str,
        mut change: impl FnMut(Value) -> Value + Send,
    ) -> Result<Value, SessionError> {
        self.publish(None).await?;
        for _ in 0..UPDATE_ATTEMPTS_MAX {
            let (revision, json) = self.stored(key);
            let value = change(json.map_or(Value::Null, |json| json.value()));
            let json =
                JsonText::of(&value).map_err(|deep| SessionError::NotJson(deep.to_string()))?;
            if self.exchange(key, revision, Some(json)).await? {
                return Ok(value);
            }
        }
        Err(SessionError::Contended)
    }

    /// Writes one storage key, or removes it with `None`, if it still has this revision in the
    /// store. False: another request wrote it first, and [`Session::stored`] shows what.
    pub(crate) async fn exchange(
        &self,
        key: &str,
        revision: u64,
        json: Option<JsonText>,
    ) -> Result<bool, SessionError> {
        let key: Arc<str> = key.into();
        let entries = vec![(Arc::clone(&key), json)];
        let patch = Patch { entries, expect: Some((key, revision)), ..Patch::default() };
        let _right = self.request.share_right().await;
        let written = self.write(Write { patch, renewed: None }, None).await?;
        let done = matches!(written, Written::Done(_));
        self.adopt(written, None);
        Ok(done)
    }

    /// Ends the session for good, with every credential and token of it. The rest of the request
    /// works in a new guest's session.
    pub async fn logout(&self) -> Result<(), SessionError> {
        self.refuse_if_off()?;
        let _right = self.request.lock_right().await;
        let now = self.sessions.clock.now();
        // A guest's too: another of its requests may have created it since this one began.
        let (id, right) = self.working();
        if self.checked(self.sessions.store.end(now, id, right).await?)?.is_some() {
            tracing::info!(event = "session.ended", session = %id, source = "logout");
            self.sessions.watchers.wake(id);
        }
        let guest = Credential::guest(&*self.sessions.entropy, now)?;
        let mut state = self.lock();
        state.drop_drafts();
        if state.opened().is_some() && state.gives != Gives::Nothing {
            state.gives = Gives::NewGuest;
        }
        state.give(guest.clone());
        state.bound = Bound::Guest(guest);
        Ok(())
    }

    /// Continues as a new guest, and gives the browser no cookie in the place of the one it has.
    pub(crate) fn become_guest(&self) -> Result<(), NoEntropy> {
        let guest = Credential::guest(&*self.sessions.entropy, self.sessions.clock.now())?;
        let mut state = self.lock();
        state.drop_drafts();
        state.cookie = None;
        state.gives = Gives::Nothing;
        state.bound = Bound::Guest(guest);
        state.regranted = false;
        Ok(())
    }

    /// Ends one browser's right to the session; false if it had none. The handler's writes so far
    /// are stored first, because the call may end the right of this request's own browser.
    pub async fn end_device(&self, device: DeviceId) -> Result<bool, SessionError> {
        self.publish(None).await?;
        if self.lock().opened().is_none() {
            return Ok(false);
        }
        let ended = {
            let _right = self.request.share_right().await;
            let now = self.sessions.clock.now();
            let (id, right) = self.working();
            let detached = self.sessions.store.detach(now, id, right, device).await?;
            let Some(ended) = self.checked(detached)? else { return Ok(false) };
            self.sessions.watchers.wake(id);
            ended
        };
        match self.reload().await {
            // The browser has ended its own right.
            Err(SessionError::Replaced) => Ok(ended),
            reloaded => reloaded.map(|_| ended),
        }
    }

    /// Reads again what other requests have written; the handler's own writes stay on top. False
    /// when the session has ended: then nothing new is shown.
    pub async fn reload(&self) -> Result<bool, SessionError> {
        let _right = self.request.share_right().await;
        let now = self.sessions.clock.now();
        let (id, right) = self.working();
        match self.checked(self.sessions.store.look(now, id, right).await?)? {
            Some(opened) => {
                self.lock().adopt(opened);
                Ok(true)
            }
            None => Ok(matches!(self.lock().bound, Bound::Guest(_))),
        }
    }

    /// The result of an operation under the right of the request; `None` if the session has ended.
    pub(crate) fn checked<T>(&self, result: Checked<T>) -> Result<Option<T>, SessionError> {
        match result {
            Checked::Done(result) => Ok(Some(result)),
            Checked::Gone => Ok(None),
            Checked::Replaced => Err(self.replaced()),
        }
    }

    /// The session that the request works in, and its right.
    pub(in crate::flow) fn working(&self) -> (SessionId, Right) {
        let state = self.lock();
        (state.id(), state.right(self.sessions.app()))
    }

    /// The right of the request has ended. Its view stays as it was. Its browser may have a newer
    /// credential by now, and is given none in its place.
    pub(crate) fn replaced(&self) -> SessionError {
        self.lock().cookie = None;
        SessionError::Replaced
    }

    /// Keeps what the handler has written, once it has returned. From now on the response is sent:
    /// an upstream that is writing is waited for, and can give the browser nothing afterwards.
    pub(crate) async fn settle(&self) -> Result<(), SessionError> {
        let _turn = self.request.turn.lock().await;
        {
            let mut state = self.lock();
            state.enter(Phase::Responding);
            state.put_back_writing();
        }
        match self.publish(None).await {
            Err(SessionError::Ended) => {
                // Another request logged out while the handler ran. The response is still sent;
                // what the handler wrote belongs to a session that is gone.
                tracing::info!(event = "session.write_dropped", session = %self.id());
                Ok(())
            }
            other => other,
        }
    }

    /// Gives the browser no new date for a guest's credential whose session another request has
    /// stored meanwhile: that one may have signed in.
    pub(crate) async fn check_renewal(&self) {
        let (id, right) = match &*self.lock() {
            state if state.gives == Gives::Renewed && state.cookie.is_some() => {
                (state.id(), state.right(self.sessions.app()))
            }
            _ => return,
        };
        let looked = self.sessions.store.look(self.sessions.clock.now(), id, right).await;
        if !matches!(looked, Ok(Checked::Gone)) {
            self.lock().drop_renewal();
        }
    }

    /// Drops what the handler has written, because it failed. An upstream that is still writing is
    /// waited for here, too: the credential that its write gives the browser is sent with the
    /// error, or the browser would keep one that the write has ended.
    pub(crate) async fn give_up(&self) {
        let _turn = self.request.turn.lock().await;
        let mut state = self.lock();
        state.enter(Phase::Responding);
        // A task that still holds a handle could write it with a draft of its own.
        state.drop_drafts();
    }

    /// Writes the draft, and stores a token in the same step.
    pub(in crate::flow) async fn publish(&self, token: Option<Token>) -> Result<(), SessionError> {
        let mut unwritten = {
            let mut state = self.lock();
            if state.is_idle(&state.draft) && token.is_none() {
                return Ok(());
            }
            Unwritten::take(self, &mut state)
        };
        // Boxed, so that requests which write nothing need no room for it.
        let result = Box::pin(self.commit(&unwritten.draft, token)).await;
        unwritten.is_written = matches!(result, Ok(()) | Err(SessionError::Ended));
        result
    }

    /// Writes this draft, and stores a token in the same step.
    pub(in crate::flow) async fn commit(
        &self,
        draft: &Draft,
        token: Option<Token>,
    ) -> Result<(), SessionError> {
        // A gain of privileges may change the credential.
        let _right = match &draft.access {
            Some(_) => self.request.lock_right().await,
            None => self.request.share_right().await,
        };
        for _ in 0..UPDATE_ATTEMPTS_MAX {
            let write = self.plan(draft)?;
            let renewed = write.renewed.clone();
            match self.renew(write, token.clone()).await? {
                // Another request under this right has changed the privileges: whether this write
                // is a gain is decided anew.
                Written::Conflict(opened) => self.lock().adopt(opened),
                written @ Written::Done(_) => {
                    self.adopt(written, renewed);
                    return Ok(());
                }
            }
        }
        Err(SessionError::Contended)
    }

    /// Whether there is nothing to write.
    pub(in crate::flow) fn is_idle(&self, draft: &Draft) -> bool {
        self.lock().is_idle(draft)
    }

    /// Writes, and wakes the watchers of the session where credentials change.
    async fn renew(&self, write: Write, token: Option<Token>) -> Result<Written, SessionError> {
        if write.renewed.is_none() {
            return self.write(write, token).await;
        }
        failpoint::reached(Place::BeforeRotate)?;
        let written = self.write(write, token).await?;
        self.sessions.watchers.wake(self.id());
        failpoint::reached(Place::AfterRotate)?;
        Ok(written)
    }

    /// Makes the patch of a draft, with a fresh credential if the browser gains privileges.
    fn plan(&self, draft: &Draft) -> Result<Write, SessionError> {
        let mut patch = draft.patch();
        let (id, gains) = {
            let state = self.lock();
            let stored = state.opened().map(|opened| opened.record.access.clone());
            let stored = stored.unwrap_or_default();
            let gains = gains(&self.sessions.roles, &stored, draft);
            patch.expect_access = (!gains && draft.may_gain()).then_some(stored);
            // A client without a credential cannot be given a fresh one, and ends no other.
            (state.id(), gains && draft.puts_others_out && state.credential().is_some())
        };
        if !gains {
            return Ok(Write { patch, renewed: None });
        }
        let now = self.sessions.clock.now();
        let nonce = Credential::nonce(&*self.sessions.entropy)?;
        let renewed = Credential::member(id, nonce, now);
        let digest = renewed.digest(self.sessions.app());
        patch.rotate = Some(self.sessions.device(digest, &self.context.label, now)?);
        Ok(Write { patch, renewed: Some(renewed) })
    }

    /// Creates the session with this write, or changes it, under the right of the request.
    async fn write(&self, write: Write, token: Option<Token>) -> Result<Written, SessionError> {
        self.refuse_if_off()?;
        let now = self.sessions.clock.now();
        let (store, patch) = (&self.sessions.store, write.patch);
        if token.is_some() {
            failpoint::reached(Place::Mint)?;
        }
        let founder = match &self.lock().bound {
            Bound::Guest(credential) => Some(credential.clone()),
            Bound::Open { .. } => None,
        };
        if let Some(founder) = founder {
            let limited = self.sessions.rates.found(self.context.client, now);
            limited.map_err(SessionError::TooManyGuests)?;
            self.lock().drop_renewal();
            let record = self.founded(&founder, now)?;
            let founding = Founding { record, patch: patch.clone(), token: token.clone() };
            failpoint::reached(Place::Create)?;
            match store.create(now, founding).await? {
                Created::New(opened) => {
                    // The browser may not have it yet.
                    self.lock().give(founder);
                    return Ok(Written::Done(opened));
                }
                // Another request of this guest was first: both work in the same session.
                Created::Met(_) => {}
                Created::Closed => return Err(SessionError::Ended),
                Created::Replaced => return Err(self.replaced()),
                Created::TooLarge => return Err(SessionError::TooLarge),
            }
        }
        let (id, right) = self.working();
        let expected = patch.expect_access.clone();
        match token {
            None => match store.patch(now, id, right, patch).await? {
                Patched::Done(opened) => Ok(Written::Done(opened)),
                Patched::Conflict(opened) => Ok(Written::Conflict(opened)),
                Patched::Gone => Err(SessionError::Ended),
                Patched::Replaced => Err(self.replaced()),
                Patched::TooLarge => Err(SessionError::TooLarge),
            },
            Some(token) => match store.mint(now, right, patch, token).await? {
                Minted::Done(opened) => Ok(Written::Done(opened)),
                Minted::TooMany => Err(SessionError::TooManyTokens),
                Minted::Gone => Err(SessionError::Ended),
                Minted::Replaced => Err(self.replaced()),
                Minted::Refused => {
                    let changed = self.changed_access(expected.as_ref()).await?;
                    changed.map(Written::Conflict).ok_or(SessionError::TooLarge)
                }
            },
        }
    }

    /// A storage key as it was last read from the store, with its revision for
    /// [`Session::exchange`]; drafts are passed over.
    pub(crate) fn stored(&self, key: &str) -> (u64, Option<JsonText>) {
        let state = self.lock();
        let entry = state.opened().and_then(|opened| opened.record.storage.find(key));
        entry.map_or((0, None), |entry| (entry.revision, Some(entry.json.clone())))
    }

    fn founded(&self, founder: &Credential, now: Timestamp) -> Result<Record, SessionError> {
        let sessions = &self.sessions;
        let device: Device =
            sessions.device(founder.digest(sessions.app()), &self.context.label, now)?;
        // A guest that made room for others may be created again under its id. Its generation then
        // begins later, so that no earlier grant fits it.
        let generation = now.millis();
        let record = Record::new(founder.session(), now, sessions.lifetime, device);
        Ok(Record { generation, ..record })
    }

    /// Replaces the view by the state in the store.
    fn adopt(&self, written: Written, renewed: Option<Credential>) {
        let (Written::Done(opened) | Written::Conflict(opened)) = written;
        let mut state = self.lock();
        if let Some(renewed) = renewed {
            state.give(renewed.clone());
            state.bound = Bound::Open { opened, entry: HeldBy::Credential(renewed) };
        } else {
            state.adopt(opened);
        }
    }
}
