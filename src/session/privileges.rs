//! Which privileges exist and what they include: `roles.json` of the 4D model (4D §3.4).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::session::record::Access;

/// The privileges and roles that an application knows.
///
/// Without a `roles.json` every name is known and includes nothing. With one, a name that is
/// not in it is ignored wherever it is granted. Case does not matter.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// By lower-case name. `None`: there is no file.
    known: Option<Known>,
    force_login: bool,
}

#[derive(Debug, Clone, Default)]
struct Known {
    privileges: HashMap<String, Privilege>,
    roles: HashMap<String, Vec<Arc<str>>>,
}

#[derive(Debug, Clone)]
struct Privilege {
    name: Arc<str>,
    includes: Vec<String>,
}

/// The shape of the file. Unknown properties are let through: 4D's own tools write more than
/// callgate reads (`permissions`, `restrictedByDefault`, `id`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRoles {
    #[serde(default)]
    privileges: Vec<RawPrivilege>,
    #[serde(default)]
    roles: Vec<RawRole>,
    #[serde(default)]
    force_login: bool,
}

#[derive(Deserialize)]
struct RawPrivilege {
    privilege: String,
    #[serde(default)]
    includes: Vec<String>,
}

#[derive(Deserialize)]
struct RawRole {
    role: String,
    #[serde(default)]
    privileges: Vec<String>,
}

/// What is wrong with a `roles.json`, with the line where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRoles {
    /// The line, from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for BadRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for BadRoles {}

impl Roles {
    /// Reads a `roles.json`. Everything that is wrong with it is reported: a file that cannot be
    /// understood must keep the program from starting (4D disables all protection instead).
    pub fn read(text: &str) -> Result<Self, Vec<BadRoles>> {
        let raw: RawRoles = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| vec![BadRoles::from_json(&error)])?;
        let mut problems = Vec::new();
        let mut known = Known::default();
        for RawPrivilege { privilege, includes } in raw.privileges {
            let name = privilege.trim();
            let entry = Privilege {
                name: name.into(),
                includes: includes.iter().map(|name| fold(name)).collect(),
            };
            if name.is_empty() {
                problems.push(BadRoles::whole("a privilege has no name".into()));
            } else if known.privileges.insert(fold(name), entry).is_some() {
                problems.push(BadRoles::whole(format!("privilege {name:?} is defined twice")));
            }
        }
        known.check_includes(&mut problems);
        for RawRole { role, privileges } in raw.roles {
            let granted = known.of_role(&role, &privileges, &mut problems);
            if known.roles.insert(fold(&role), granted).is_some() {
                problems.push(BadRoles::whole(format!("role {role:?} is defined twice")));
            }
        }
        if problems.is_empty() {
            Ok(Self { known: Some(known), force_login: raw.force_login })
        } else {
            Err(problems)
        }
    }

    /// Whether REST calls need a login (`forceLogin`).
    pub fn force_login(&self) -> bool {
        self.force_login
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

    /// Every privilege that `access` amounts to, what is included first (4D `getPrivileges`).
    pub fn expand(&self, access: &Access) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for name in &access.privileges {
            self.expand_one(name, &mut all);
        }
        all
    }

    /// Whether `access` amounts to the privilege `name`, itself or through an inclusion.
    pub fn allows(&self, access: &Access, name: &str) -> bool {
        let wanted = fold(name.trim());
        // The common case is a privilege that was granted by its own name.
        access.privileges.iter().any(|held| fold(held) == wanted)
            || (self.known.is_some() && self.expand(access).iter().any(|held| fold(held) == wanted))
    }

    /// Depth first, so that what is included stands before what includes it. Each name is
    /// visited once, which also ends a circle of inclusions.
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

impl Known {
    fn check_includes(&self, problems: &mut Vec<BadRoles>) {
        let mut names: Vec<_> = self.privileges.values().collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        for Privilege { name, includes } in names {
            for included in includes.iter().filter(|name| !self.privileges.contains_key(*name)) {
                problems.push(BadRoles::whole(format!(
                    "privilege {:?} includes {included:?}, which is not defined; add it to \
                     \"privileges\"",
                    &**name
                )));
            }
        }
    }

    fn of_role(&self, role: &str, names: &[String], problems: &mut Vec<BadRoles>) -> Vec<Arc<str>> {
        let mut granted = Vec::new();
        for name in names {
            match self.privileges.get(&fold(name)) {
                Some(privilege) => granted.push(Arc::clone(&privilege.name)),
                None => problems.push(BadRoles::whole(format!(
                    "role {role:?} has the privilege {name:?}, which is not defined; add it to \
                     \"privileges\""
                ))),
            }
        }
        granted
    }
}

impl BadRoles {
    fn whole(what: String) -> Self {
        Self { line: None, column: None, what }
    }

    fn from_json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The position is reported as such, so it need not be said again.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned();
        Self { line: Some(error.line()), column: Some(error.column()), what }
    }
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
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
        "forceLogin": true
    }"#;

    fn access(names: &[&str]) -> Access {
        let privileges = names.iter().map(|&name| name.into()).collect();
        Access { known: true, privileges, user_name: String::new() }
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
        assert!(roles.force_login());
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

    #[test]
    fn every_problem_of_a_file_is_reported() {
        let text = r#"{"privileges": [{"privilege": "a", "includes": ["x"]}, {"privilege": "A"}],
                       "roles": [{"role": "r", "privileges": ["y"]}]}"#;
        let problems = Roles::read(text).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        let torn = Roles::read("{\n\"privileges\": [}").unwrap_err();
        assert_eq!(torn.first().unwrap().line, Some(2));
    }
}
