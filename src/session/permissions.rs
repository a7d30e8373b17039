//! Which privileges a function demands of a session, and which it lends it while it runs
//! (developer.4d.com/docs/ORDA/privileges).

use std::collections::HashMap;
use std::sync::Arc;

use crate::session::roles_file::fold;

/// The name that stands for every session, a guest's too, in lists of privileges.
pub(crate) const GUEST: &str = "guest";

/// What one function demands of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// Who may call it.
    pub execute: Execute,
    /// Privileges that the session has while it runs.
    pub promote: Box<[Arc<str>]>,
}

/// Who may call a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Execute {
    /// Every session, a guest's too.
    #[default]
    Anyone,
    /// Sessions that have any of these privileges; none if there are none.
    AnyOf(Box<[Arc<str>]>),
}

/// What an entry of `permissions.allowed` is about, as it is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// The class; `DataStore` for functions of `ds`.
    pub class: String,
    /// The function, unless the entry is about the whole class.
    pub function: Option<String>,
    /// The line in `roles.json`, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// What an entry of `permissions.allowed` is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// `ds`: every function.
    All,
    /// A class, by its folded name.
    Class(String),
    /// A function of a class, by their folded names.
    Function(String, String),
}

/// What an entry says; a list that it leaves out is that of the wider scope.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed {
    pub(super) execute: Option<Box<[Arc<str>]>>,
    pub(super) promote: Option<Box<[Arc<str>]>>,
}

/// The permissions of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Permissions {
    pub(super) allowed: HashMap<Scope, Allowed>,
    pub(super) named: Vec<Permitted>,
    pub(super) restricted: bool,
    pub(super) forces_login: bool,
}

impl Permissions {
    /// What a function demands, of its class and those that it extends (`lineage`, nearest first):
    /// of a function, its class and everything, the narrowest that says something counts, and of
    /// several classes the nearest. Where nothing does, `restrictedByDefault` decides.
    pub(super) fn of(&self, lineage: &[String], function: &str) -> Permission {
        let function = fold(function);
        let of_class = |class: &String| {
            let class = fold(class);
            [Scope::Function(class.clone(), function.clone()), Scope::Class(class)]
        };
        let scopes = lineage.iter().flat_map(of_class).chain([Scope::All]);
        let found: Vec<&Allowed> = scopes.filter_map(|scope| self.allowed.get(&scope)).collect();
        let promote = found.iter().find_map(|allowed| allowed.promote.clone());
        let execute = match found.iter().find_map(|allowed| allowed.execute.as_ref()) {
            Some(names) if names.iter().any(|name| fold(name) == GUEST) => Execute::Anyone,
            Some(names) => Execute::AnyOf(names.clone()),
            None if self.restricted => Execute::AnyOf(Box::default()),
            None => Execute::Anyone,
        };
        Permission { execute, promote: promote.unwrap_or_default() }
    }
}
