//! What counts as gaining privileges: who gains puts the others out, or may not gain at all.

use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::flow::session::state::State;
use crate::session::Access;
use crate::session::AccessChange;
use crate::session::Roles;

/// Whether somebody gains by a draft in a session that stands like this in the store.
pub(in crate::flow) fn gains(roles: &Roles, before: &Access, draft: &Draft) -> bool {
    let after = draft.access_over(before);
    // Somebody else with the same privileges is a gain too: they are his now.
    (draft.signs_in() && (after.user_name != before.user_name || draft.starts_over()))
        || adds(roles, before, &after)
}

/// Refuses a change by which somebody would gain in a `context` that nobody asked for: whoever is
/// let in may be a mail scanner, and the session that of a stranger who sent the link. A change by
/// which nobody gains says nothing new, so there is nothing to be written.
pub(in crate::flow) fn refused_in_a_context(
    state: &State,
    roles: &Roles,
    change: &AccessChange,
) -> Result<(), SessionError> {
    let before = state.access();
    let mut after = before.clone();
    let fits = change.apply(&mut after).is_ok();
    if fits && after.user_name == before.user_name && !adds(roles, &before, &after) {
        return Ok(());
    }
    Err(SessionError::ContextMayNotGain)
}

fn adds(roles: &Roles, before: &Access, after: &Access) -> bool {
    let held = roles.expand(before);
    (after.known && !before.known) || roles.expand(after).iter().any(|name| !held.contains(name))
}
