//! Which privileges exist and what they include: `roles.json`, in the form of 4D
//! (developer.4d.com/docs/ORDA/privileges).

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::text::nearest::nearest;
use crate::session::permissions::Permission;
use crate::session::permissions::Permissions;
use crate::session::permissions::Permitted;
use crate::session::record::Access;
use crate::session::roles_file;
use crate::session::roles_file::RoleEntry;
use crate::session::roles_file::fold;

pub use crate::session::roles_file::BadRoles;

/// The privileges and roles of an application.
///
/// Without a `roles.json` every name is a privilege and includes no others. With one, a name that
/// is not in it is ignored wherever it is granted. Case is ignored.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// By lower-case name. `None`: there is no file.
    known: Option<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    privileges: HashMap<String, Privilege>,
    roles: HashMap<String, Vec<Arc<str>>>,
    permissions: Permissions,
}

#[derive(Debug, Clone)]
struct Privilege {
    name: Arc<str>,
    includes: Vec<String>,
}

impl Roles {
    /// Reads a `roles.json` and reports everything that is wrong with it. A file that cannot be
    /// understood must keep the program from starting (4D disables all protection instead).
    pub fn read(text: &str) -> Result<Self, Vec<BadRoles>> {
        let defined = roles_file::read(text)?;
        let mut known = Known { permissions: defined.permissions, ..Known::default() };
        for RoleEntry { name, names, .. } in defined.privileges {
            let includes = names.iter().map(|(name, _)| fold(name)).collect();
            known
                .privileges
                .insert(fold(&name), Privilege { name: name.as_str().into(), includes });
        }
        for RoleEntry { name, names, .. } in defined.roles {
            let privilege = |name: &str| known.privileges.get(&fold(name));
            let granted = names.iter().filter_map(|(name, _)| privilege(name));
            let granted = granted.map(|privilege| Arc::clone(&privilege.name)).collect();
            known.roles.insert(fold(&name), granted);
        }
        Ok(Self { known: Some(known) })
    }

    /// As [`Roles::read`], from the bytes of the file.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Vec<BadRoles>> {
        roles_file::text(bytes).map_err(|bad| vec![bad]).and_then(Self::read)
    }

    /// The privilege nearest to an unknown name, for messages; none without a file.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let known = self.known.as_ref()?;
        nearest(name.trim(), known.privileges.values().map(|privilege| &*privilege.name))
    }

    /// Whether a role of this name exists; without a file none does.
    pub fn has_role(&self, name: &str) -> bool {
        self.known.as_ref().is_some_and(|known| known.roles.contains_key(&fold(name)))
    }

    /// The privilege of this name as the file spells it; `None` if it is unknown.
    pub fn privilege(&self, name: &str) -> Option<Arc<str>> {
        let name = name.trim();
        match &self.known {
            Some(known) => known.privileges.get(&fold(name)).map(|found| Arc::clone(&found.name)),
            None => (!name.is_empty()).then(|| name.into()),
        }
    }

    /// The privileges of a role; none if it is unknown.
    pub fn role(&self, name: &str) -> &[Arc<str>] {
        let known = self.known.as_ref();
        known.and_then(|known| known.roles.get(&fold(name.trim()))).map_or(&[], Vec::as_slice)
    }

    /// What a function of a class demands of a session, nothing without a file. `lineage` is the
    /// class, and then those that it extends, nearest first.
    pub fn permission(&self, lineage: &[String], function: &str) -> Permission {
        let known = self.known.as_ref();
        known.map(|known| known.permissions.of(lineage, function)).unwrap_or_default()
    }

    /// The classes and functions that permissions name, to find those that do not exist.
    pub fn permitted(&self) -> &[Permitted] {
        self.known.as_ref().map_or(&[], |known| &known.permissions.named)
    }

    /// Whether guests may call nothing below `/rest` but what signs them in (`forceLogin`).
    pub fn forces_login(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.permissions.forces_login)
    }

    /// Whether what no permission names is closed (`restrictedByDefault`).
    pub fn restricts_by_default(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.permissions.restricted)
    }

    /// The effective privileges of `access`, included ones first (4D `getPrivileges`).
    pub fn expand(&self, access: &Access) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for name in &access.privileges {
            self.expand_one(name, &mut all);
        }
        all
    }

    /// Whether `access` has the privilege `name`, directly or by inclusion.
    pub fn allows(&self, access: &Access, name: &str) -> bool {
        let wanted = fold(name.trim());
        // The common case is a privilege that was granted directly.
        access.privileges.iter().any(|held| fold(held) == wanted)
            || (self.known.is_some() && self.expand(access).iter().any(|held| fold(held) == wanted))
    }

    /// Depth first, so that an included privilege comes before those that include it. Each name is
    /// added once, which also ends a cycle of inclusions.
    fn expand_one(&self, name: &Arc<str>, all: &mut Vec<Arc<str>>) {
        let mut stack = vec![(Arc::clone(name), false)];
        let mut seen: Vec<String> = all.iter().map(|name| fold(name)).collect();
        while let Some((name, included_done)) = stack.pop() {
            if included_done {
                all.push(name);
                continue;
            }
            if seen.contains(&fold(&name)) {
                continue;
            }
            seen.push(fold(&name));
            stack.push((Arc::clone(&name), true));
            let privilege =
                self.known.as_ref().and_then(|known| known.privileges.get(&fold(&name)));
            for included in privilege.iter().flat_map(|privilege| privilege.includes.iter().rev()) {
                stack.extend(self.privilege(included).map(|name| (name, false)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "privileges": [
            {"privilege": "simple"},
            {"privilege": "medium", "includes": ["simple"]},
            {"privilege": "Boss", "includes": ["MEDIUM"]}
        ],
        "roles": [{"role": "Medium", "privileges": ["medium"]}],
        "permissions": {"allowed": []},
        "forceLogin": false
    }"#;

    fn access(names: &[&str]) -> Access {
        let privileges = names.iter().map(|&name| name.into()).collect();
        Access { known: true, privileges, ..Access::default() }
    }

    #[test]
    fn what_is_included_comes_first() {
        let roles = Roles::read(FILE).unwrap();
        let names = |held: &[&str]| {
            roles.expand(&access(held)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&["medium"]), ["simple", "medium"]);
        assert_eq!(names(&["Boss"]), ["simple", "medium", "Boss"]);
        assert_eq!(names(&["simple", "Boss"]), ["simple", "medium", "Boss"]);
    }

    #[test]
    fn inclusion_grants_and_case_does_not_matter() {
        let roles = Roles::read(FILE).unwrap();
        assert!(roles.allows(&access(&["Boss"]), "SIMPLE"));
        assert!(!roles.allows(&access(&["simple"]), "medium"));
        assert_eq!(roles.role("medium"), [Arc::<str>::from("medium")]);
    }

    #[test]
    fn with_a_file_unknown_names_are_ignored_and_without_one_all_are_known() {
        assert_eq!(Roles::read(FILE).unwrap().privilege("nobody"), None);
        assert_eq!(Roles::default().privilege(" anything "), Some("anything".into()));
        assert_eq!(Roles::default().privilege(" "), None);
    }

    #[test]
    fn a_circle_of_inclusions_ends() {
        let text = r#"{"privileges": [{"privilege": "a", "includes": ["b"]},
                                      {"privilege": "b", "includes": ["a"]}]}"#;
        let roles = Roles::read(text).unwrap();
        assert_eq!(roles.expand(&access(&["a"])).len(), 2);
    }
}
