//! The part of a session's handle that writes for an upstream: kept before it is answered, and
//! past what a handler has drafted.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::base::limits::STORAGE_KEY_BYTES_MAX;
use crate::base::limits::STORAGE_KEYS_MAX;
use crate::flow::session::Privileges;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::flow::session::gain::refused_in_a_context;
use crate::flow::session::state::Phase;

/// The right of one of several writers to write next, and before the answer begins.
///
/// A draft is kept when the handler has returned, and a failure of it is a failure of the whole
/// request. An upstream is told of each write by itself: what was kept is durable, and what was
/// not will not be kept later.
pub(crate) struct WriteGuard<'s> {
    session: &'s Session,
    _held: MutexGuard<'s, ()>,
}

impl Session {
    /// Waits until nobody else writes for this request. Whoever has ended the session has no turn.
    pub(crate) async fn turn(&self) -> Result<WriteGuard<'_>, SessionError> {
        let held = self.request.turn.lock().await;
        if self.lock().phase == Phase::Ended {
            return Err(SessionError::Ended);
        }
        Ok(WriteGuard { session: self, _held: held })
    }
}

impl WriteGuard<'_> {
    /// Whether the browser can be given no cookie any more. If not, the answer does not begin
    /// before this is dropped.
    pub(crate) fn answer_has_begun(&self) -> bool {
        self.session.lock().phase >= Phase::Answering
    }

    /// Sets these storage keys, all of them or none, and removes those without a value.
    pub(crate) async fn write(
        &self,
        values: impl IntoIterator<Item = (String, Option<Value>)>,
    ) -> Result<(), SessionError> {
        let mut draft = Draft::default();
        for (key, value) in values {
            // Neither would be there to take away.
            if key.len() > STORAGE_KEY_BYTES_MAX || draft.entries.len() == STORAGE_KEYS_MAX {
                return Err(SessionError::TooLarge);
            }
            let json = value.map(|value| Session::entry(&key, &value)).transpose()?;
            draft.entries.insert(Arc::from(key), json);
        }
        self.keep(draft).await
    }

    /// Adds privileges, as [`Session::set_privileges`] does.
    pub(crate) async fn grant(&self, wish: Privileges) -> Result<(), SessionError> {
        let puts_others_out = !wish.keep_devices;
        let change = self.session.access_change(wish)?;
        {
            let state = self.session.lock();
            if state.is_automatic() {
                return refused_in_a_context(&state, &self.session.sessions.roles, &change);
            }
        }
        let mut draft = Draft { puts_others_out, ..Draft::default() };
        draft.change_access(change);
        self.keep(draft).await
    }

    /// Ends the session, and every further turn. The browser becomes a guest with the answer.
    pub(crate) async fn end(&self) -> Result<(), SessionError> {
        self.session.logout().await?;
        self.session.lock().enter(Phase::Ended);
        Ok(())
    }

    async fn keep(&self, draft: Draft) -> Result<(), SessionError> {
        if self.session.is_idle(&draft) {
            return Ok(());
        }
        self.session.commit(&draft, None).await
    }
}
