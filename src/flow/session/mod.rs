//! The session of one request, as its handler sees it (4D `Session`).
//!
//! - this file: reading, and drafting writes; nothing here is async
//! - `context`: the properties of the request and its row that concern it
//! - `draft`, `state`: writes that are not stored yet; the state of the request
//! - `settle`: the operations that use the store: writing, reloading, ending
//! - `settle::write_guard`: single writes for an upstream, which are stored at once
//! - `settle::gain`, `privileges`: gains of privileges, and their effect on other browsers
//! - `account`: the account that is signed in, and the sessions of accounts
//! - `return_path`: where a browser goes back to after a sign-in
//! - `handles`: the handle for parts that outlive the request
//! - `watch`: the right of a request that continues after its response has begun
//! - `text`: values as JSON text, for script handlers

mod account;
mod context;
mod draft;
mod error;
mod handles;
mod privileges;
mod return_path;
mod settle;
mod state;
#[cfg(feature = "script")]
mod text;
mod watch;

pub(crate) use context::{SessionContext, ShownConsent};
pub use error::SessionError;
pub(crate) use handles::ActiveHandle;
pub(crate) use handles::EndedHandle;
pub use privileges::{Privileges, RestoreOptions};
pub(crate) use state::Bound;
pub(crate) use state::Gives;
pub(crate) use state::HeldBy;
pub use watch::Watchers;

use std::fmt;
use std::sync::Arc;
use std::sync::MutexGuard;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;

use crate::base::DeviceId;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::PRIVILEGE_BYTES_MAX;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::STORAGE_KEY_BYTES_MAX;
use crate::base::limits::USER_NAME_BYTES_MAX;
use crate::base::secret::SecretText;
use crate::flow::session::state::Phase;
use crate::flow::session::state::RequestShared;
use crate::flow::session::state::RequestState;
use crate::flow::sessions::Sessions;
use crate::session::AccessChange;
use crate::session::Credential;
use crate::session::JsonText;
use crate::session::Lifetime;
use crate::token::Outcome;

/// The request's own view of its session; cheap to clone.
///
/// Reading shows the session as it was when the request began, with the handler's own writes.
/// Writes are kept when the handler has returned, and before that when it mints a token: the
/// callback may arrive while the handler still runs. [`Session::reload`] shows what other
/// requests have written since.
#[derive(Clone)]
pub struct Session {
    pub(super) sessions: Arc<Sessions>,
    pub(super) context: Arc<SessionContext>,
    pub(super) request: Arc<RequestShared>,
}

/// The binding cookie that a response gives to the browser.
pub(crate) struct BindingCookie {
    pub(crate) value: SecretText,
    pub(crate) max_age_secs: u64,
}

/// One browser that may open the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// Its public name, for [`Session::end_device`].
    pub id: DeviceId,
    /// When it joined.
    pub since: Timestamp,
    /// Its label, from its `User-Agent`.
    pub label: String,
    /// Whether it sent this request.
    pub current: bool,
}

impl Session {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        context: SessionContext,
        bound: Bound,
        gives: Gives,
    ) -> Self {
        let request = RequestShared::new(bound, gives, context.binding.clone());
        Self { sessions, context: Arc::new(context), request: Arc::new(request) }
    }

    /// Whether there is no session, because the setting `sessions` is `"off"`. Then it reads as a
    /// guest's with an empty storage, and everything that would write, mint or redeem returns
    /// [`SessionError::Off`].
    pub fn is_off(&self) -> bool {
        !self.sessions.enabled
    }

    /// [`SessionError::Off`] where there are no sessions.
    pub(super) fn refuse_if_off(&self) -> Result<(), SessionError> {
        if self.is_off() { Err(SessionError::Off) } else { Ok(()) }
    }

    /// The name of the session: 32 upper-case hex digits that may be logged.
    pub fn id(&self) -> SessionId {
        self.lock().id()
    }

    /// The value of a storage key, as a type that can be read from JSON; `serde_json::Value` is
    /// one for every value. `None` for a key without a value.
    ///
    /// ```no_run
    /// # fn of(session: callgate::Session) -> Result<(), callgate::SessionError> {
    /// let paid: bool = session.get("paid")?.unwrap_or_default();
    /// let items = session.get::<Vec<u64>>("items")?;
    /// # Ok(()) }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let Some(json) = self.lock().find(key) else { return Ok(None) };
        // The error of the parser may quote the value, which may be private.
        serde_json::from_str(json.text()).map(Some).map_err(|_| SessionError::OtherType {
            key: key.to_owned(),
            wanted: std::any::type_name::<T>(),
        })
    }

    /// The complete storage.
    pub fn storage(&self) -> Map<String, Value> {
        let all = self.lock().storage();
        all.iter().map(|(key, json)| (key.to_string(), json.value())).collect()
    }

    /// Sets a storage key.
    pub fn set(&self, key: &str, value: impl Serialize) -> Result<(), SessionError> {
        let value = serde_json::to_value(value)
            .map_err(|error| SessionError::NotJson(error.to_string()))?;
        self.put(key, Self::entry(key, &value)?)
    }

    fn put(&self, key: &str, json: JsonText) -> Result<(), SessionError> {
        self.refuse_if_off()?;
        Self::admit(key, &json)?;
        self.lock().draft.entries.insert(key.into(), Some(json));
        Ok(())
    }

    /// Removes a storage key.
    pub fn remove(&self, key: &str) {
        self.lock().draft.entries.insert(key.into(), None);
    }

    /// The user's name; empty if there is none.
    pub fn user_name(&self) -> String {
        self.lock().access().user_name
    }

    /// When the session ends unless it is used again: the end of its idle timeout, or the moment
    /// at which the last of its unspent tokens expires if that is later.
    pub fn expiration_date(&self) -> Timestamp {
        let now = self.sessions.clock.now();
        let state = self.lock();
        let lifetime =
            Lifetime { idle_minutes: self.idle_minutes(&state), ..self.sessions.lifetime };
        match state.opened() {
            Some(opened) => {
                let lifetime =
                    Lifetime { idle_minutes: lifetime.idle_minutes, ..opened.record.lifetime };
                let (since, seen_at) = (opened.record.created_at, opened.seen_at.max(now));
                lifetime.expires_at(since, seen_at, opened.needed_until)
            }
            None => lifetime.expires_at(now, now, Timestamp::default()),
        }
    }

    /// The idle timeout in minutes.
    pub fn idle_timeout(&self) -> u32 {
        self.idle_minutes(&self.lock())
    }

    /// Sets the idle timeout in minutes; less than 60 becomes 60.
    pub fn set_idle_timeout(&self, minutes: u32) {
        self.lock().draft.idle_minutes = Some(Lifetime::clamp_idle(minutes));
    }

    /// Whether no privileges were ever set.
    pub fn is_guest(&self) -> bool {
        !self.lock().access().known
    }

    /// Adds privileges; the session is no guest's from now on (4D `setPrivileges`).
    ///
    /// A gain ends the rights of all other browsers, unless [`Privileges::keep_devices`] is set:
    /// see [`SessionError::Replaced`]. In a `context` that `auto` chose nothing can be gained: see
    /// [`SessionError::ContextMayNotGain`].
    pub fn set_privileges(&self, privileges: impl Into<Privileges>) -> Result<(), SessionError> {
        self.refuse_if_off()?;
        let privileges = privileges.into();
        let keep_devices = privileges.keep_devices;
        let change = self.access_change(privileges)?;
        let mut state = self.lock();
        if state.is_automatic() {
            return settle::gain::refused_in_a_context(&state, &self.sessions.roles, &change);
        }
        state.draft.change_access(change);
        state.draft.puts_others_out |= !keep_devices;
        Ok(())
    }

    /// Removes all privileges. The user's name stays, and the session does not become a guest's
    /// again (4D 21 `clearPrivileges`).
    pub fn clear_privileges(&self) {
        let change = AccessChange { clear: true, ..AccessChange::default() };
        self.lock().draft.change_access(change);
    }

    /// Whether the session has this privilege, itself or through an inclusion.
    pub fn has_privilege(&self, name: &str) -> bool {
        let state = self.lock();
        let roles = &self.sessions.roles;
        roles.allows(&state.access(), name) || roles.allows(&state.promoted, name)
    }

    /// Gives the session these privileges for as long as a function runs, in place of those that it
    /// was given so before (4D `promote`). They are not stored, not listed, and no gain.
    pub(crate) fn promote(&self, names: &[Arc<str>]) {
        self.lock().promoted.privileges = names.to_vec();
    }

    /// Every privilege of the session, what is included first.
    pub fn privileges(&self) -> Vec<Arc<str>> {
        self.sessions.roles.expand(&self.lock().access())
    }

    /// The browsers that may open the session, in the order they joined; none for a guest of
    /// whom nothing is stored.
    pub fn devices(&self) -> Vec<DeviceView> {
        let state = self.lock();
        let own = state.credential().map(|credential| credential.digest(self.sessions.app()));
        let devices = state.opened().into_iter().flat_map(|opened| &opened.record.devices);
        let view = |device: &crate::session::Device| DeviceView {
            id: device.id,
            since: device.since,
            label: device.label.clone(),
            current: own == Some(device.digest),
        };
        devices.map(view).collect()
    }

    /// The outcome of the token that the handler passed to [`Session::restore`] last.
    pub(crate) fn restore_outcome(&self) -> Outcome {
        self.lock().restore_outcome.unwrap_or_default()
    }

    /// The outcome of the token of the request itself.
    pub(crate) fn otp(&self) -> Outcome {
        self.lock().otp
    }

    /// Stores the outcome for the handler.
    pub(crate) fn set_outcome(&self, otp: Outcome) {
        self.lock().otp = otp;
    }

    /// Begins the response: from now on the browser can be given nothing more.
    pub(crate) fn begin_response(&self) {
        self.lock().enter(Phase::Responding);
    }

    /// The value of the session cookie that the response gives to the browser. An error response
    /// sets none, unless a token has moved the request into a session: the token is spent, so the
    /// browser would be left with neither.
    pub(crate) fn cookie_to_give(&self, succeeded: bool) -> Option<SecretText> {
        let state = self.lock();
        let entered = matches!(state.bound, Bound::Open { .. });
        let given = |_: &&Credential| !state.no_cookie && (succeeded || entered);
        let credential = state.cookie.as_ref().filter(given)?;
        Some(self.sessions.keyring.seal(credential))
    }

    /// The binding cookie that the response gives to the browser, if a token was minted for which
    /// the one it has is not enough. A failure gives it, too: the token may be on its way.
    pub(crate) fn binding_to_give(&self) -> Option<BindingCookie> {
        let state = self.lock();
        let binding = state.binding.as_ref().filter(|_| state.binds && !state.no_cookie)?;
        let max_age_secs = binding.max_age_secs(self.sessions.clock.now());
        Some(BindingCookie { value: binding.text(), max_age_secs })
    }

    /// Whether the handler gave a token to [`Session::restore`].
    pub(crate) fn was_given_a_token(&self) -> bool {
        self.lock().restore_outcome.is_some()
    }

    /// The mount prefix that addresses of this site begin with; may be empty.
    pub(crate) fn base_path(&self) -> &str {
        &self.sessions.base_path
    }

    /// Makes the response give no cookie.
    pub(crate) fn give_no_cookie(&self) {
        self.lock().no_cookie = true;
    }

    /// Whether the request may redeem a token: HEAD, OPTIONS and prefetches may not.
    pub(crate) fn may_redeem(&self) -> bool {
        self.context.may_redeem
    }

    /// Whether the response gives no cookie.
    pub(crate) fn has_no_cookie(&self) -> bool {
        self.lock().no_cookie
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.request.lock()
    }

    /// The value that a key gets, if it is valid.
    fn entry(key: &str, value: &Value) -> Result<JsonText, SessionError> {
        let json = JsonText::of(value).map_err(|deep| SessionError::NotJson(deep.to_string()))?;
        Self::admit(key, &json)?;
        Ok(json)
    }

    fn admit(key: &str, json: &JsonText) -> Result<(), SessionError> {
        if key.len() > STORAGE_KEY_BYTES_MAX || json.text().len() > STORAGE_BYTES_MAX {
            return Err(SessionError::TooLarge);
        }
        Ok(())
    }

    /// The change that these privileges mean by `roles.json`.
    fn access_change(&self, privileges: Privileges) -> Result<AccessChange, SessionError> {
        if privileges.user_name.as_ref().is_some_and(|name| name.len() > USER_NAME_BYTES_MAX) {
            let text = format!("a user name has at most {USER_NAME_BYTES_MAX} bytes");
            return Err(SessionError::Refused(text));
        }
        let roles = &self.sessions.roles;
        let split = |names: &[String]| -> Vec<String> {
            names.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect()
        };
        let unknown = &self.sessions.unknown_privileges;
        let privilege = |name: &String| {
            let found = roles.privilege(name);
            if found.is_none() {
                unknown.tell("privilege", name);
            }
            found
        };
        let mut grant: Vec<Arc<str>> =
            split(&privileges.privileges).iter().filter_map(privilege).collect();
        for role in split(&privileges.roles) {
            if !roles.has_role(&role) {
                unknown.tell("role", &role);
            }
            grant.extend_from_slice(roles.role(&role));
        }
        if grant.iter().any(|name| name.len() > PRIVILEGE_BYTES_MAX) {
            let text = format!("a privilege name has at most {PRIVILEGE_BYTES_MAX} bytes");
            return Err(SessionError::Refused(text));
        }
        let (user_name, account) = (privileges.user_name, privileges.account);
        Ok(AccessChange { clear: false, grant, user_name, account, known: true })
    }

    fn idle_minutes(&self, state: &RequestState) -> u32 {
        let stored = state.opened().map(|opened| opened.record.lifetime.idle_minutes);
        state.drafted_idle_minutes().or(stored).unwrap_or(self.sessions.lifetime.idle_minutes)
    }
}

/// The id only: a storage may be private.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id())
    }
}
