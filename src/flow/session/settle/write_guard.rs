//! Writes for an upstream. Each is stored before the upstream gets its response, and separately
//! from the handler's draft.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::base::limits::STORAGE_KEY_BYTES_MAX;
use crate::base::limits::STORAGE_KEYS_MAX;
use crate::flow::session::Privileges;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::flow::session::settle::gain::refused_in_a_context;
use crate::flow::session::state::Phase;

/// Exclusive access for one of several writers, before the response begins.
///
/// A draft is stored when the handler has returned, and a failure of that fails the whole request.
/// An upstream gets the result of each write by itself: a successful write is durable, and a
/// failed one is not stored later.
pub(crate) struct WriteGuard<'s> {
    session: &'s Session,
    _held: MutexGuard<'s, ()>,
}

impl Session {
    /// Waits until no other writer works for this request. Fails once the session was ended by one.
    pub(crate) async fn turn(&self) -> Result<WriteGuard<'_>, SessionError> {
        let held = self.request.turn.lock().await;
        if self.lock().phase == Phase::Ended {
            return Err(SessionError::Ended);
        }
        Ok(WriteGuard { session: self, _held: held })
    }
}

impl WriteGuard<'_> {
    /// Whether the response has begun, so that the browser can be given no cookie any more. If not,
    /// it does not begin before this is dropped.
    pub(crate) fn answer_has_begun(&self) -> bool {
        self.session.lock().phase >= Phase::Responding
    }

    /// Sets these storage keys, all of them or none, and removes those without a value.
    pub(crate) async fn write(
        &self,
        values: impl IntoIterator<Item = (String, Option<Value>)>,
    ) -> Result<(), SessionError> {
        let mut draft = Draft::default();
        for (key, value) in values {
            // Also for a removal: no such key exists.
            if key.len() > STORAGE_KEY_BYTES_MAX || draft.entries.len() == STORAGE_KEYS_MAX {
                return Err(SessionError::TooLarge);
            }
            let json = value.map(|value| Session::entry(&key, &value)).transpose()?;
            draft.entries.insert(Arc::from(key), json);
        }
        self.commit(draft).await
    }

    /// Adds privileges, as [`Session::set_privileges`] does.
    pub(crate) async fn grant(&self, privileges: Privileges) -> Result<(), SessionError> {
        let puts_others_out = !privileges.keep_devices;
        let change = self.session.access_change(privileges)?;
        {
            let state = self.session.lock();
            if state.is_automatic() {
                return refused_in_a_context(&state, &self.session.sessions.roles, &change);
            }
        }
        let mut draft = Draft { puts_others_out, ..Draft::default() };
        draft.change_access(change);
        self.commit(draft).await
    }

    /// Ends the session, and every further write. The response makes the browser a guest.
    pub(crate) async fn end(&self) -> Result<(), SessionError> {
        self.session.logout().await?;
        self.session.lock().enter(Phase::Ended);
        Ok(())
    }

    async fn commit(&self, draft: Draft) -> Result<(), SessionError> {
        if self.session.is_idle(&draft) {
            return Ok(());
        }
        self.session.commit(&draft, None).await
    }
}
