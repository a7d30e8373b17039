//! A plan, made of the text of a table and of the class files beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::backend::Registry;
use crate::gate::classes::Folder;
use crate::gate::classes::Found;
use crate::gate::classes::Loaded;
use crate::gate::examined::is_named;
use crate::gate::failure::GateError;
use crate::gate::lint::Lint;
use crate::http::Handlers;
use crate::http::Routes;
use crate::http::exchange::routes::proxy::Proxies;
use crate::session::Roles;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Severity;
use crate::table::Table;
use crate::table::Target;

/// What a gate makes its plans with.
pub(super) struct Maker {
    pub(super) settings: Settings,
    /// The classes that the program brings along.
    pub(super) native: Registry,
    /// The privileges that rows may require.
    pub(super) roles: Roles,
    pub(super) folder: Folder,
    /// What passes on the requests of rows that forward.
    pub(super) relays: Arc<dyn Proxies>,
}

/// A plan, with what it was made of.
pub(super) struct Made {
    pub(super) plan: Routes,
    pub(super) roster: Roster,
    /// What is odd and does not keep the plan from being used.
    pub(super) warnings: Vec<Problem>,
}

/// Who answers the rows of a plan.
pub(super) struct Roster {
    /// The program's own classes, and the loaded ones.
    pub(super) registry: Registry,
    pub(super) loaded: Loaded,
}

impl Maker {
    /// Makes a plan, or says everything that keeps it from being one: of the table and of every
    /// class file at once. Under `strict` nothing may be odd either.
    ///
    /// With `before`, no row may lose the function that answered it: a folder that is just being
    /// copied, or a file that was cut to nothing, is no class file that was meant.
    pub(super) fn make(
        &self,
        text: &str,
        found: Found,
        before: Option<&Roster>,
    ) -> Result<Made, GateError> {
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
        let roster = Roster { registry: loaded.beside(&self.native), loaded };
        let lost = before.map(|before| self.lost(&checked.table, before, &roster));
        let warnings = self.warnings(checked.warnings, &checked.table, &roster);
        match lost.filter(|lost| !lost.is_empty()) {
            Some(lost) => Err(GateError::Table(lost)),
            None if self.settings.strict && !warnings.is_empty() => Err(GateError::Table(warnings)),
            None => Ok(Made {
                plan: Routes::new(checked.table, &roster.registry, &*self.relays),
                roster,
                warnings,
            }),
        }
    }

    fn warnings(&self, own: Vec<Problem>, table: &Table, roster: &Roster) -> Vec<Problem> {
        let mut warnings = own;
        let roles = Some(&self.roles);
        let lint = Lint { settings: &self.settings, handlers: &roster.registry, roles };
        warnings.extend(lint.rows(table));
        // A proof takes time that only a table which must be without fault is worth.
        if self.settings.strict {
            warnings.extend(table.prove(&self.settings.handlers.display().to_string()).problems);
            let named = |class: &str, function: &str| {
                table.rows().iter().any(|row| is_named(row, class, function))
            };
            warnings.extend(self.folder.unreached_of(&roster.loaded, &named));
        }
        warnings
    }

    /// The rows whose function was there before, and is not there any more.
    fn lost(&self, table: &Table, before: &Roster, now: &Roster) -> Vec<Problem> {
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

/// The classes that rows name and the program does not bring along.
pub(super) fn wanted(table: &Table, native: &Registry) -> BTreeSet<String> {
    let class = |row: &Row| match row.target() {
        Target::Function { class, .. } if !native.has(class) => Some(class.to_string()),
        Target::Function { .. } | Target::Upstream(_) => None,
    };
    table.rows().iter().filter_map(class).collect()
}
