//! Who may use a route, as `roles.json` says (docs/CONTRACT.md §5,
//! developer.4d.com/docs/ORDA/privileges).

use std::sync::Arc;

use crate::flow::session::Session;
use crate::http::exchange::routes::handler::Handlers;
use crate::http::message::fault::Fault;
use crate::session::Execute;
use crate::session::Permission;
use crate::session::Roles;
use crate::table::Reserved;
use crate::table::Row;
use crate::table::Target;

/// Who may use a route, and what they may do meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessRule {
    permission: Permission,
    /// Whether no guest may, whatever the permission says (`forceLogin`).
    signed_in: bool,
}

impl AccessRule {
    /// The rule of a function.
    pub(crate) fn of_function(
        roles: &Roles,
        handlers: &dyn Handlers,
        (class, function): (&str, &str),
    ) -> Self {
        let lineage = handlers.lineage(class, function);
        Self { permission: roles.permission(&lineage, function), signed_in: false }
    }

    /// The same rule, for signed-in sessions only.
    pub(crate) fn for_signed_in(self, signed_in: bool) -> Self {
        Self { signed_in, ..self }
    }

    /// The same rule, which every session fulfils.
    pub(crate) fn for_everyone(self) -> Self {
        let permission = Permission { execute: Execute::Anyone, ..self.permission };
        Self { permission, signed_in: false }
    }

    /// The rule of a row. A permission is about a function, so a row that forwards has none: under
    /// `restrictedByDefault` it is closed unless it says itself what it requires.
    pub(super) fn of_row(roles: &Roles, handlers: &dyn Handlers, row: &Row) -> Self {
        match row.target() {
            Target::Function { class, method } => {
                Self::of_function(roles, handlers, (class, method))
            }
            Target::Upstream(_)
                if roles.restricts_by_default() && row.requirement().is_nothing() =>
            {
                let execute = Execute::AnyOf(Box::default());
                Self {
                    permission: Permission { execute, ..Permission::default() },
                    signed_in: false,
                }
            }
            Target::Upstream(_) => Self::default(),
        }
    }

    /// Privileges that the session has while the function runs.
    pub(crate) fn promote(&self) -> &[Arc<str>] {
        &self.permission.promote
    }

    /// Whether this session may use the route.
    pub(crate) fn allows(&self, session: &Session) -> bool {
        if self.signed_in && session.is_guest() {
            return false;
        }
        match &self.permission.execute {
            Execute::Anyone => true,
            Execute::AnyOf(names) => names.iter().any(|name| session.has_privilege(name)),
        }
    }
}

/// The error for a session that may not use a route. Below `/rest` it is what 4D says
/// (`developer.4d.com/docs/REST/REST_requests`).
pub(crate) fn refusal(session: &Session, part: Option<Reserved>) -> Fault {
    match part {
        Some(Reserved::Rest) => Fault::not_permitted(),
        _ if session.is_guest() => Fault::sign_in_first(),
        _ => Fault::not_allowed(),
    }
}
