//! Builds a plan from the text of a table and the class files beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::AUTHENTICATION;
use crate::backend::Registry;
use crate::gate::classes::ClassFolder;
use crate::gate::classes::FolderContents;
use crate::gate::classes::LoadedClasses;
use crate::gate::error::GateError;
use crate::gate::lint::Lint;
use crate::http::Handlers;
use crate::http::Routes;
use crate::http::exchange::routes::proxy::Proxies;
use crate::rest::Rest;
use crate::session::Roles;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Severity;
use crate::table::Table;
use crate::table::Target;

/// What a gate builds its plans with.
pub(crate) struct PlanBuilder {
    pub(crate) settings: Settings,
    /// The native classes of the program.
    pub(crate) native: Registry,
    /// The privileges that rows may require.
    pub(crate) roles: Roles,
    pub(crate) folder: ClassFolder,
    /// Forwards the requests of forward rows.
    pub(crate) relays: Arc<dyn Proxies>,
}

/// A plan, with its inputs.
pub(crate) struct BuiltPlan {
    pub(crate) plan: Routes,
    pub(crate) handlers: HandlerSet,
    /// Warnings, which do not keep the plan from being used.
    pub(crate) warnings: Vec<Problem>,
}

/// The handlers of a plan.
pub(crate) struct HandlerSet {
    /// The program's own classes, and the loaded ones.
    pub(crate) registry: Registry,
    pub(crate) loaded: LoadedClasses,
}

impl PlanBuilder {
    /// Builds a plan, or reports every error of the table and of every class file at once. Under
    /// `strict` a warning is an error, too.
    ///
    /// With `before`, no row may lose its function: a folder that is being copied, or a file that
    /// was truncated, is not an intended change.
    pub(crate) fn build(
        &self,
        text: &str,
        found: FolderContents,
        before: Option<&HandlerSet>,
    ) -> Result<BuiltPlan, GateError> {
        let file = self.settings.handlers.display().to_string();
        let read = Table::read(&file, text);
        let table = read.as_ref().ok().map(|checked| &checked.table);
        let wanted = table.map(|table| wanted(table, &self.native)).unwrap_or_default();
        let loaded = self.folder.load(found, &wanted, before.map(|before| &before.loaded));
        let (checked, loaded) = match (read, loaded) {
            (Ok(checked), Ok(loaded)) => (checked, loaded),
            (read, loaded) => {
                let mut problems = read.err().unwrap_or_default();
                problems.extend(loaded.err().unwrap_or_default());
                return Err(GateError::Table(problems));
            }
        };
        let handlers = HandlerSet { registry: loaded.beside(&self.native), loaded };
        let lost = before.map(|before| self.lost(&checked.table, before, &handlers));
        let warnings = self.warnings(checked.warnings, &checked.table, &handlers);
        let errors: Vec<Problem> =
            warnings.iter().filter(|it| it.severity == Severity::Error).cloned().collect();
        if !errors.is_empty() {
            return Err(GateError::Table(errors));
        }
        let rest = Rest::new(Arc::new(handlers.registry.clone()), self.roles.clone());
        match lost.filter(|lost| !lost.is_empty()) {
            Some(lost) => Err(GateError::Table(lost)),
            None if self.settings.strict && !warnings.is_empty() => Err(GateError::Table(warnings)),
            None => Ok(BuiltPlan {
                plan: Routes::new(checked.table, &handlers.registry, &*self.relays, &self.roles)
                    .with_reserved(Arc::new(rest)),
                handlers,
                warnings,
            }),
        }
    }

    fn warnings(&self, own: Vec<Problem>, table: &Table, handlers: &HandlerSet) -> Vec<Problem> {
        let mut warnings = own;
        let roles = Some(&self.roles);
        let lint = Lint { settings: &self.settings, handlers: &handlers.registry, roles };
        warnings.extend(lint.rows(table));
        warnings.extend(lint.permissions());
        // A proof takes time, which is justified only for a table that must be free of warnings.
        if self.settings.strict {
            warnings.extend(table.prove(&self.settings.handlers.display().to_string()).problems);
            let named = |class: &str, function: &str| {
                (class, function) == AUTHENTICATION
                    || table.rows().iter().any(|row| row.target().is_function(class, function))
            };
            warnings.extend(self.folder.unreached_of(&handlers.loaded, &named));
        }
        warnings
    }

    /// The rows whose function existed in `before` and does not exist in `now`.
    fn lost(&self, table: &Table, before: &HandlerSet, now: &HandlerSet) -> Vec<Problem> {
        let file = self.settings.handlers.display().to_string();
        let lost = |row: &Row| {
            let Target::Function { class, method } = row.target() else { return None };
            before.registry.find(class, method).ok()?;
            let missing = now.registry.find(class, method).err()?;
            let what = format!("{:?} answered and is gone: {}", row.name(), missing.text());
            let fix = "put it back, or take the row out as well".to_owned();
            let problem = row.warning(&file, "lost-function", what, fix);
            Some(Problem { severity: Severity::Error, ..problem })
        };
        table.rows().iter().filter_map(lost).collect()
    }
}

/// The classes that rows name and the program does not provide.
pub(crate) fn wanted(table: &Table, native: &Registry) -> BTreeSet<String> {
    let class = |row: &Row| match row.target() {
        Target::Function { class, .. } if !native.has(class) => Some(class.to_string()),
        Target::Function { .. } | Target::Upstream(_) => None,
    };
    table.rows().iter().filter_map(class).collect()
}
