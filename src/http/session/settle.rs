//! The part of a session's handle that keeps what was written, reads it again, and ends it.

use std::sync::Arc;

use serde_json::Value;

use crate::base::DeviceId;
use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::UPDATE_ATTEMPTS_MAX;
use crate::http::session::Gives;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::http::session::Standing;
use crate::http::session::draft::Draft;
use crate::http::session::state::Phase;
use crate::session::Credential;
use crate::session::Device;
use crate::session::JsonText;
use crate::session::Patch;
use crate::session::Record;
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

/// What a store made of a write.
enum Written {
    Done(Opened),
    Conflict(Opened),
}

impl Session {
    /// Changes one storage key by what it was: no other writer comes between (`null` for a key
    /// without a value). `change` may run several times. Returns what was written.
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
    /// store. False: somebody else wrote it first, and [`Session::stored`] shows what.
    pub(crate) async fn exchange(
        &self,
        key: &str,
        revision: u64,
        json: Option<JsonText>,
    ) -> Result<bool, SessionError> {
        let key: Arc<str> = key.into();
        let entries = vec![(Arc::clone(&key), json)];
        let patch = Patch { entries, expect: Some((key, revision)), ..Patch::default() };
        let written = self.write(Write { patch, renewed: None }, None).await?;
        let done = matches!(written, Written::Done(_));
        self.adopt(written, None);
        Ok(done)
    }

    /// Ends the session for good, with every credential and token of it. The rest of the request
    /// works in a new guest's session.
    pub async fn logout(&self) -> Result<(), SessionError> {
        let now = self.house.clock.now();
        // A guest's too: another request of his may have founded it since this one began.
        let id = self.id();
        if self.house.store.end(now, id).await? {
            tracing::info!(event = "session.ended", session = %id, source = "logout");
        }
        let guest = Credential::guest(&*self.house.entropy, now)?;
        let mut state = self.lock();
        state.draft = Draft::default();
        if state.opened().is_some() && state.gives != Gives::Nothing {
            state.gives = Gives::NewGuest;
        }
        state.give(guest.clone());
        state.standing = Standing::Guest(guest);
        Ok(())
    }

    /// Ends one browser's right to the session; false if it had none.
    pub async fn end_device(&self, device: DeviceId) -> Result<bool, SessionError> {
        let now = self.house.clock.now();
        let Some(id) = self.lock().opened().map(|opened| opened.record.id) else {
            return Ok(false);
        };
        let ended = self.house.store.detach(now, id, device).await?;
        self.reload().await?;
        Ok(ended)
    }

    /// Reads again what other requests have written; the handler's own writes stay on top.
    /// False when the session has ended, or has put out the browser that this request came from:
    /// then nothing new is shown.
    pub async fn reload(&self) -> Result<bool, SessionError> {
        let now = self.house.clock.now();
        let Some(opened) = self.house.store.look(now, self.id()).await? else {
            return Ok(matches!(self.lock().standing, Standing::Guest(_)));
        };
        let own = self.lock().credential().map(|credential| credential.digest(self.house.app()));
        let may_see = own.is_none_or(|own| opened.record.device(&own).is_some());
        if may_see {
            self.adopt(Written::Done(opened), None);
        }
        Ok(may_see)
    }

    /// Keeps what the handler has written, once it has returned. From now on the answer goes out:
    /// an upstream that is writing is waited for, and may give the browser nothing afterwards.
    pub(crate) async fn settle(&self) -> Result<(), SessionError> {
        let _turn = self.desk.turn.lock().await;
        self.lock().enter(Phase::Answering);
        match self.publish(None).await {
            Err(SessionError::Ended) => {
                // Somebody logged out while the handler ran. The answer still goes out; what it
                // wrote belongs to a session that is gone.
                tracing::info!(event = "session.write_dropped", session = %self.id());
                Ok(())
            }
            other => other,
        }
    }

    /// Gives the browser no new date for a guest's credential whose session another request has
    /// stored meanwhile: that one may have signed in.
    pub(crate) async fn check_renewal(&self) {
        let id = match &*self.lock() {
            state if state.gives == Gives::Renewed && state.cookie.is_some() => state.id(),
            _ => return,
        };
        if !matches!(self.house.store.look(self.house.clock.now(), id).await, Ok(None)) {
            self.lock().drop_renewal();
        }
    }

    /// Drops what the handler has written, because it failed. An upstream that is still writing is
    /// waited for here, too: what its write gives the browser goes out with the failure, or the
    /// browser would be left with what the write has ended.
    pub(crate) async fn give_up(&self) {
        let _turn = self.desk.turn.lock().await;
        self.lock().enter(Phase::Answering);
    }

    /// Writes the draft, with a token that goes into the store in the same step.
    pub(super) async fn publish(&self, token: Option<Token>) -> Result<(), SessionError> {
        let draft = {
            let mut state = self.lock();
            if state.is_idle(&state.draft) && token.is_none() {
                return Ok(());
            }
            std::mem::take(&mut state.draft)
        };
        let result = self.commit(&draft, token).await;
        // What failed is offered again later; a session that ended has no later.
        if let Err(error) = &result
            && !matches!(error, SessionError::Ended)
        {
            self.lock().draft.put_back(draft);
        }
        result
    }

    /// Writes this draft, with a token that goes into the store in the same step.
    pub(super) async fn commit(
        &self,
        draft: &Draft,
        token: Option<Token>,
    ) -> Result<(), SessionError> {
        let write = self.plan(draft)?;
        let renewed = write.renewed.clone();
        let written = self.renew(write, token).await?;
        self.adopt(written, renewed);
        Ok(())
    }

    /// Whether there is nothing to write.
    pub(super) fn is_idle(&self, draft: &Draft) -> bool {
        self.lock().is_idle(draft)
    }

    /// Writes, and watches over a change of credentials.
    async fn renew(&self, write: Write, token: Option<Token>) -> Result<Written, SessionError> {
        if write.renewed.is_none() {
            return self.write(write, token).await;
        }
        failpoint::reached(Place::BeforeRotate)?;
        let written = self.write(write, token).await?;
        failpoint::reached(Place::AfterRotate)?;
        Ok(written)
    }

    /// Makes the patch of a draft, with a fresh credential if the browser gains privileges.
    fn plan(&self, draft: &Draft) -> Result<Write, SessionError> {
        let mut patch = draft.patch();
        let (id, gains) = {
            let state = self.lock();
            let stored = state.opened().map(|opened| opened.record.access.clone());
            let before = stored.unwrap_or_default();
            let after = draft.access_over(&before);
            let roles = &self.house.roles;
            let held = roles.expand(&before);
            // Somebody else with the same privileges is a gain too: they are his now.
            let gains = (after.known && !before.known)
                || (draft.signs_in() && after.user_name != before.user_name)
                || (draft.signs_in() && draft.starts_over())
                || roles.expand(&after).iter().any(|name| !held.contains(name));
            // A caller without a credential cannot be given a fresh one, and takes nobody's.
            (state.id(), gains && draft.puts_others_out && state.credential().is_some())
        };
        if !gains {
            return Ok(Write { patch, renewed: None });
        }
        let now = self.house.clock.now();
        let nonce = Credential::nonce(&*self.house.entropy)?;
        let renewed = Credential::member(id, nonce, now);
        let digest = renewed.digest(self.house.app());
        patch.rotate = Some(self.house.device(digest, &self.errand.label, now)?);
        Ok(Write { patch, renewed: Some(renewed) })
    }

    /// Founds the session with this write, or changes it. Storage is written whatever happened
    /// meanwhile; tokens and privileges only by a credential that still opens the session.
    async fn write(&self, write: Write, token: Option<Token>) -> Result<Written, SessionError> {
        let now = self.house.clock.now();
        let store = &self.house.store;
        let mut patch = write.patch;
        if token.is_some() || patch.access.is_some() {
            let state = self.lock();
            patch.by = state.credential().map(|credential| credential.digest(self.house.app()));
        }
        if token.is_some() {
            failpoint::reached(Place::Mint)?;
        }
        let founder = match &self.lock().standing {
            Standing::Guest(credential) => Some(credential.clone()),
            Standing::Open { .. } => None,
        };
        if let Some(founder) = founder {
            let limited = self.house.rates.found(self.errand.client, now);
            limited.map_err(SessionError::TooManyGuests)?;
            self.lock().drop_renewal();
            let record = self.founded(&founder, now)?;
            let founding = Founding { record, patch: patch.clone(), token: token.clone() };
            failpoint::reached(Place::Create)?;
            match store.create(now, founding).await? {
                Created::New(opened) => {
                    // The browser may not hold it yet.
                    self.lock().give(founder);
                    return Ok(Written::Done(opened));
                }
                // Another request of this guest was first: both meet in one session.
                Created::Met(_) => {}
                Created::Closed => return Err(SessionError::Ended),
                Created::TooLarge => return Err(SessionError::TooLarge),
            }
        }
        let id = self.id();
        match token {
            None => match store.patch(now, id, patch).await? {
                Patched::Done(opened) => Ok(Written::Done(opened)),
                Patched::Conflict(opened) => Ok(Written::Conflict(opened)),
                Patched::Gone => Err(SessionError::Ended),
                Patched::TooLarge => Err(SessionError::TooLarge),
            },
            Some(token) => match store.mint(now, patch, token).await? {
                Minted::Done(opened) => Ok(Written::Done(opened)),
                Minted::TooMany => Err(SessionError::TooManyTokens),
                Minted::Gone => Err(SessionError::Ended),
                Minted::Refused => Err(SessionError::TooLarge),
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
        let house = &self.house;
        let device: Device = house.device(founder.digest(house.app()), &self.errand.label, now)?;
        Ok(Record::new(founder.session(), now, house.lifetime, device))
    }

    /// Takes over what the store says the session is now.
    fn adopt(&self, written: Written, renewed: Option<Credential>) {
        let (Written::Done(opened) | Written::Conflict(opened)) = written;
        let mut state = self.lock();
        if let Some(renewed) = renewed {
            state.give(renewed.clone());
            state.standing = Standing::Open { opened, credential: Some(renewed) };
        } else {
            let credential = state.credential().cloned();
            state.standing = Standing::Open { opened, credential };
        }
    }
}
