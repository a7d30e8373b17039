//! What counts as gaining privileges: it ends the rights of other browsers, or is refused.

use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::flow::session::state::RequestState;
use crate::session::Access;
use crate::session::AccessChange;
use crate::session::Roles;
use crate::store::port::Opened;

/// Whether a draft gains privileges in a session with this access in the store.
pub(in crate::flow) fn gains(roles: &Roles, before: &Access, draft: &Draft) -> bool {
    let after = draft.access_over(before);
    // Another user with the same privileges is a gain too: they are that user's now.
    let is_another = after.user_name != before.user_name || after.account != before.account;
    (draft.signs_in() && (is_another || draft.starts_over())) || adds(roles, before, &after)
}

/// Refuses a change that gains privileges in a `context` that `auto` chose: the client may be a
/// mail scanner, and the session that of the sender of the link. A change that gains nothing has
/// nothing to write.
pub(in crate::flow) fn refused_in_a_context(
    state: &RequestState,
    roles: &Roles,
    change: &AccessChange,
) -> Result<(), SessionError> {
    let before = state.access();
    let mut after = before.clone();
    let fits = change.apply(&mut after).is_ok();
    let is_same = after.user_name == before.user_name && after.account == before.account;
    if fits && is_same && !adds(roles, &before, &after) {
        return Ok(());
    }
    Err(SessionError::ContextMayNotGain)
}

impl Session {
    /// The session as it is now, if the privileges of its user are not as `expected`.
    pub(crate) async fn changed_access(
        &self,
        expected: Option<&Access>,
    ) -> Result<Option<Opened>, SessionError> {
        let Some(expected) = expected else { return Ok(None) };
        let (id, right) = self.working();
        let looked = self.sessions.store.look(self.sessions.clock.now(), id, right).await?;
        let opened = self.checked(looked)?.ok_or(SessionError::Ended)?;
        Ok((opened.record.access != *expected).then_some(opened))
    }
}

fn adds(roles: &Roles, before: &Access, after: &Access) -> bool {
    let held = roles.expand(before);
    (after.known && !before.known) || roles.expand(after).iter().any(|name| !held.contains(name))
}
