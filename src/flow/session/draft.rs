//! A handler's writes that are not stored yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::flow::session::Session;
use crate::flow::session::state::RequestState;
use crate::session::Access;
use crate::session::AccessChange;
use crate::session::JsonText;
use crate::session::Patch;

/// Pending changes of one request to its session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) entries: BTreeMap<Arc<str>, Option<JsonText>>,
    pub(crate) access: Option<AccessChange>,
    pub(crate) idle_minutes: Option<u32>,
    /// Whether a gain of privileges ends the session's other credentials and tokens. A single
    /// change without `keepDevices` decides this for the whole request.
    pub(crate) puts_others_out: bool,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.access.is_none() && self.idle_minutes.is_none()
    }

    /// Whether this removes values and privileges and adds nothing.
    pub(crate) fn only_takes_away(&self) -> bool {
        let access = self.access.as_ref();
        self.idle_minutes.is_none()
            && self.entries.values().all(Option::is_none)
            && access.is_none_or(|change| !change.known && change.user_name.is_none())
    }

    /// Whether privileges are set, even if none are new.
    pub(crate) fn signs_in(&self) -> bool {
        self.access.as_ref().is_some_and(|change| change.known)
    }

    /// Whether this could gain privileges, depending on those the session's user has before.
    pub(crate) fn may_gain(&self) -> bool {
        self.access.as_ref().is_some_and(|change| {
            change.known || change.user_name.is_some() || !change.grant.is_empty()
        })
    }

    /// Whether existing privileges are removed first.
    pub(crate) fn starts_over(&self) -> bool {
        self.access.as_ref().is_some_and(|change| change.clear)
    }

    /// Adds a change of privileges or user name.
    pub(crate) fn change_access(&mut self, change: AccessChange) {
        match &mut self.access {
            Some(earlier) => earlier.then(change),
            None => self.access = Some(change),
        }
    }

    /// The privileges of the session's user once this is written. A change that a store would
    /// refuse as too large counts as no change.
    pub(crate) fn access_over(&self, stored: &Access) -> Access {
        let mut access = stored.clone();
        match &self.access {
            Some(change) if change.apply(&mut access).is_err() => stored.clone(),
            _ => access,
        }
    }

    /// The patch that writes this. The caller decides whether credentials are rotated.
    pub(crate) fn patch(&self) -> Patch {
        let entries = self.entries.iter();
        Patch {
            entries: entries.map(|(key, json)| (Arc::clone(key), json.clone())).collect(),
            expect: None,
            expect_access: None,
            access: self.access.clone(),
            idle_minutes: self.idle_minutes,
            rotate: None,
        }
    }

    /// Restores changes that could not be written, beneath those drafted since.
    pub(crate) fn put_back(&mut self, earlier: Self) {
        let later = std::mem::replace(self, earlier);
        self.entries.extend(later.entries);
        if let Some(change) = later.access {
            self.change_access(change);
        }
        self.idle_minutes = later.idle_minutes.or(self.idle_minutes);
        self.puts_others_out |= later.puts_others_out;
    }
}

/// A draft that is being written; reads of the request show it. Unless it was written, it is put
/// back when this is dropped, and written again later: a handler may drop the future of a write, as
/// in a timeout of its own.
pub(super) struct Unwritten<'s> {
    session: &'s Session,
    pub(super) draft: Arc<Draft>,
    pub(super) is_written: bool,
}

impl<'s> Unwritten<'s> {
    /// Takes the draft of a request to be written.
    pub(super) fn take(session: &'s Session, state: &mut RequestState) -> Self {
        let draft = Arc::new(std::mem::take(&mut state.draft));
        state.writing.push(Arc::clone(&draft));
        Self { session, draft, is_written: false }
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        let at = state.writing.iter().position(|draft| Arc::ptr_eq(draft, &self.draft));
        let held = at.map(|at| state.writing.remove(at));
        if held.is_some() && !self.is_written {
            state.draft.put_back(Draft::clone(&self.draft));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_could_not_be_written_stays_beneath_what_came_later() {
        let text = |n: i32| Some(JsonText::of(&json!(n)).unwrap());
        let mut draft = Draft::default();
        draft.entries.extend([("a".into(), text(1)), ("b".into(), text(1))]);
        draft.idle_minutes = Some(90);
        let failed = std::mem::take(&mut draft);
        draft.entries.insert("b".into(), None);
        draft.put_back(failed);
        assert_eq!(draft.entries["a"], text(1));
        assert_eq!(draft.entries["b"], None);
        assert_eq!(draft.idle_minutes, Some(90));
    }
}
