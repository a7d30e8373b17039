//! A change to a session that merges with concurrent changes.

use std::fmt;
use std::sync::Arc;

use crate::base::UserId;
use crate::base::limits::PRIVILEGE_BYTES_MAX;
use crate::base::limits::PRIVILEGES_PER_SESSION_MAX;
use crate::session::record::Access;
use crate::session::record::Device;
use crate::session::record::Record;
use crate::session::storage::JsonText;

/// The changes that one request makes.
///
/// A patch describes operations, not their result, so two requests of one session that write
/// different keys lose nothing, in either order.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Keys to set, or to remove with `None`; applied in order.
    pub entries: Vec<(Arc<str>, Option<JsonText>)>,
    /// Applies only if this key still has this revision (0: no value). For read-modify-write.
    pub expect: Option<(Arc<str>, u64)>,
    /// Applies only while the session has exactly these privileges: whether a change gains any, and
    /// so ends other rights, was decided on them.
    pub expect_access: Option<Access>,
    /// A change of privileges or user name.
    pub access: Option<AccessChange>,
    /// A new idle timeout in minutes, within its limits.
    pub idle_minutes: Option<u32>,
    /// Ends every right to the session and every unspent token of it, and adds this browser: new
    /// privileges are not shared with browsers that were in the session before
    /// (docs/SECURITY.md T21).
    pub rotate: Option<Device>,
}

/// A change of the privileges or the user name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessChange {
    /// Removes all privileges first.
    pub clear: bool,
    /// Privileges to add.
    pub grant: Vec<Arc<str>>,
    /// A new user name.
    pub user_name: Option<String>,
    /// The account with that name; without one, a new name is no account's.
    pub account: Option<UserId>,
    /// Whether privileges were set, even to none: the session is no longer a guest's.
    pub known: bool,
}

/// Why a patch changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchRefused {
    /// The key no longer has the expected revision, or the privileges are not the expected ones:
    /// another request wrote first.
    Conflict,
    /// The session would exceed its limits.
    TooLarge,
}

impl fmt::Display for PatchRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "another request changed it first",
            Self::TooLarge => "the session would outgrow its limits",
        })
    }
}

impl std::error::Error for PatchRefused {}

impl Patch {
    /// Whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.access.is_none()
            && self.idle_minutes.is_none()
            && self.rotate.is_none()
    }

    /// The record after this patch, unless it is refused; `record` is not changed.
    pub fn apply(&self, record: &Record) -> Result<Record, PatchRefused> {
        if let Some((key, revision)) = &self.expect
            && record.storage.revision(key) != *revision
        {
            return Err(PatchRefused::Conflict);
        }
        if self.expect_access.as_ref().is_some_and(|expected| *expected != record.access) {
            return Err(PatchRefused::Conflict);
        }
        let next = self.carry_out(record);
        let access_fits = self.access.as_ref().is_none_or(|change| change.fits(&next.access));
        if access_fits && next.storage.check_after(&record.storage).is_ok() {
            Ok(next)
        } else {
            Err(PatchRefused::TooLarge)
        }
    }

    /// The record after this patch, which has been accepted before.
    ///
    /// For a store that replays its log: a limit that was lowered since must not undo a change that
    /// was reported as stored.
    #[must_use]
    pub fn carry_out(&self, record: &Record) -> Record {
        let mut next = record.clone();
        for (key, json) in &self.entries {
            next.storage.put(key, json.as_ref());
        }
        if let Some(change) = &self.access {
            change.carry_out(&mut next.access);
        }
        if let Some(minutes) = self.idle_minutes {
            next.lifetime.idle_minutes = minutes;
        }
        if let Some(device) = &self.rotate {
            next.devices = vec![device.clone()];
            next.generation = record.next_generation();
        }
        next
    }
}

impl AccessChange {
    /// Appends a later change of the same request.
    pub fn then(&mut self, later: Self) {
        if later.clear {
            self.clear = true;
            self.grant.clear();
        }
        self.grant.extend(later.grant);
        self.known |= later.known;
        if later.user_name.is_some() {
            self.user_name = later.user_name;
            self.account = later.account;
        }
    }

    /// Applies the change to `access`, unless the result has too many privileges or one whose name
    /// is too long.
    pub fn apply(&self, access: &mut Access) -> Result<(), PatchRefused> {
        let mut next = access.clone();
        self.carry_out(&mut next);
        if !self.fits(&next) {
            return Err(PatchRefused::TooLarge);
        }
        *access = next;
        Ok(())
    }

    fn carry_out(&self, access: &mut Access) {
        if self.clear {
            access.privileges.clear();
        }
        for name in &self.grant {
            if !access.privileges.iter().any(|held| held.to_lowercase() == name.to_lowercase()) {
                access.privileges.push(Arc::clone(name));
            }
        }
        access.known |= self.known;
        if let Some(name) = &self.user_name {
            access.user_name.clone_from(name);
            access.account = self.account;
        }
    }

    /// Whether the limits allow this change, which results in `access`.
    fn fits(&self, access: &Access) -> bool {
        access.privileges.len() <= PRIVILEGES_PER_SESSION_MAX
            && self.grant.iter().all(|name| name.len() <= PRIVILEGE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::DeviceId;
    use crate::base::Digest;
    use crate::base::SessionId;
    use crate::base::Timestamp;
    use crate::base::limits::STORAGE_KEY_BYTES_MAX;
    use crate::base::limits::STORAGE_KEYS_MAX;
    use crate::session::lifetime::Lifetime;
    use serde_json::json;

    fn device(n: u8) -> Device {
        Device {
            id: DeviceId::from_bytes([n; 8]),
            digest: Digest::from_bytes([n; 32]),
            since: Timestamp::from_millis(0),
            label: String::new(),
        }
    }

    fn record() -> Record {
        let id = SessionId::from_bytes([1; 16]);
        Record::new(id, Timestamp::from_millis(0), Lifetime::default(), device(1))
    }

    fn set(key: &str, value: &serde_json::Value) -> Patch {
        Patch {
            entries: vec![(key.into(), Some(JsonText::of(value).unwrap()))],
            ..Patch::default()
        }
    }

    #[test]
    fn writers_of_different_keys_lose_nothing() {
        let one = set("a", &json!(1)).apply(&record()).unwrap();
        let both = set("b", &json!(2)).apply(&one).unwrap();
        assert_eq!(both.storage.find("a").unwrap().json.value(), json!(1));
        assert_eq!(both.storage.find("b").unwrap().json.value(), json!(2));
    }

    #[test]
    fn a_stale_read_modify_write_is_refused() {
        let one = set("n", &json!(1)).apply(&record()).unwrap();
        let stale = Patch { expect: Some(("n".into(), 0)), ..set("n", &json!(2)) };
        assert_eq!(stale.apply(&one).unwrap_err(), PatchRefused::Conflict);
        let fresh =
            Patch { expect: Some(("n".into(), one.storage.revision("n"))), ..set("n", &json!(2)) };
        assert_eq!(fresh.apply(&one).unwrap().storage.find("n").unwrap().json.value(), json!(2));
    }

    #[test]
    fn rotation_leaves_exactly_one_browser() {
        let mut shared = record();
        shared.admit(device(2));
        let patch = Patch { rotate: Some(device(3)), ..Patch::default() };
        let rotated = patch.apply(&shared).unwrap();
        assert_eq!(rotated.devices, vec![device(3)]);
        assert_eq!(rotated.generation, shared.generation + 1);
    }

    #[test]
    fn privileges_add_up_whatever_their_case_and_clearing_comes_first() {
        let mut change =
            AccessChange { grant: vec!["Admin".into()], known: true, ..Default::default() };
        change.then(AccessChange { clear: true, ..Default::default() });
        change
            .then(AccessChange { grant: vec!["view".into(), "VIEW".into()], ..Default::default() });
        let mut access = Access { privileges: vec!["old".into()], ..Access::default() };
        change.apply(&mut access).unwrap();
        assert_eq!(access.privileges, vec![Arc::<str>::from("view")]);
        assert!(access.known);
    }

    #[test]
    fn a_storage_that_is_too_large_may_still_shrink() {
        let big = set("big", &json!("x".repeat(300 * 1024)));
        assert_eq!(big.apply(&record()).unwrap_err(), PatchRefused::TooLarge);
        // A larger limit accepted this earlier.
        let mut bloated = big.carry_out(&record());
        let key = "k".repeat(STORAGE_KEY_BYTES_MAX + 1);
        for n in 0..=STORAGE_KEYS_MAX {
            bloated = set(&format!("{key}{n}"), &json!(n)).carry_out(&bloated);
        }
        let smaller = set("big", &json!("x".repeat(290 * 1024))).apply(&bloated).unwrap();
        let fewer = Patch { entries: vec![(format!("{key}7").into(), None)], ..Patch::default() };
        assert!(fewer.apply(&smaller).is_ok());
        let same = set(&format!("{key}7"), &json!(8));
        assert!(same.apply(&smaller).is_ok());
    }

    #[test]
    fn no_limit_is_passed_in_the_shadow_of_another_that_shrinks() {
        let full = set("old", &json!("x".repeat(10 * 1024))).apply(&record()).unwrap();
        let gone = ("old".into(), None);
        let one = Some(JsonText::of(&json!(1)).unwrap());
        let keys = (0..300).map(|n| (Arc::from(format!("k{n}")), one.clone()));
        let many = Patch {
            entries: std::iter::once(gone.clone()).chain(keys).collect(),
            ..Patch::default()
        };
        assert_eq!(many.apply(&full).unwrap_err(), PatchRefused::TooLarge);
        let long = "k".repeat(STORAGE_KEY_BYTES_MAX + 1).into();
        let long = Patch { entries: vec![gone, (long, one)], ..Patch::default() };
        assert_eq!(long.apply(&full).unwrap_err(), PatchRefused::TooLarge);
    }

    #[test]
    fn privileges_are_bounded_in_number_and_in_length() {
        let granted = |names: Vec<String>| {
            let grant = names.iter().map(|name| name.as_str().into()).collect();
            let access = Some(AccessChange { grant, ..AccessChange::default() });
            Patch { access, ..Patch::default() }.apply(&record()).map(drop)
        };
        let numbers = |n: usize| (0..n).map(|n| n.to_string()).collect();
        assert_eq!(granted(numbers(PRIVILEGES_PER_SESSION_MAX)), Ok(()));
        assert_eq!(granted(numbers(PRIVILEGES_PER_SESSION_MAX + 1)), Err(PatchRefused::TooLarge));
        assert_eq!(granted(vec!["x".repeat(PRIVILEGE_BYTES_MAX)]), Ok(()));
        assert_eq!(granted(vec!["x".repeat(PRIVILEGE_BYTES_MAX + 1)]), Err(PatchRefused::TooLarge));
    }
}
