//! What a handler has written and no store has seen yet.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Whether a gain of privileges ends the session's other credentials and tokens. One wish
    /// that does not say `keepDevices` decides for all of the request.
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

    /// Whether the privileges there were are taken away first.
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

    /// What the session's user may do once this is written. A change that a store would refuse
    /// as too large shows as no change.
    pub(crate) fn access_over(&self, stored: &Access) -> Access {
        let mut access = stored.clone();
        match &self.access {
            Some(change) if change.apply(&mut access).is_err() => stored.clone(),
            _ => access,
        }
    }

    /// The patch that writes this; whether credentials are rotated is for the caller to say.
    pub(crate) fn patch(&self) -> Patch {
        let entries = self.entries.iter();
        Patch {
            entries: entries.map(|(key, json)| (Arc::clone(key), json.clone())).collect(),
            expect: None,
            access: self.access.clone(),
            idle_minutes: self.idle_minutes,
            rotate: None,
        }
    }

    /// Puts back what could not be written, beneath what was drafted since.
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
