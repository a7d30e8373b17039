//! Checks the class files beside a table without serving them.

use std::sync::Arc;

use crate::backend::Registry;
use crate::base::Entropy;
use crate::base::secret::entropy::OsEntropy;
use crate::gate::builder::plan_builder::wanted;
use crate::gate::classes::ClassFolder;
use crate::gate::lint::Lint;
use crate::gate::lint::MISSING_FUNCTION;
use crate::session::Roles;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Survey;
use crate::table::Target;

/// The results of checking class files and the rows that name them.
#[derive(Debug, Default)]
pub struct ClassReport {
    /// Problems of rows in combination with their classes, as `gate::lint` reports them.
    pub rows: Vec<Problem>,
    /// Problems of class files.
    pub classes: Vec<Problem>,
    /// Permissions of `roles.json` that protect nothing.
    pub permissions: Vec<Problem>,
    /// How many class files there are.
    pub files: usize,
}

/// Loads the class files as a gate would, and drops them again. Broken rows and files are left out,
/// so that they do not hide problems of the others.
///
/// It must be called within a tokio runtime, although it does not wait.
pub fn examine(
    survey: &Survey,
    settings: &Settings,
    native: &Registry,
    roles: Option<&Roles>,
) -> ClassReport {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy::new());
    let folder = ClassFolder::of(settings, None, &entropy);
    let table = &survey.table;
    let mut wanted = wanted(table, native);
    let named = survey.left_out.iter().filter_map(|row| row.class.as_deref());
    wanted.extend(named.filter(|class| !native.has(class)).map(str::to_owned));
    let sound = folder.load_sound(&wanted);
    let registry = sound.loaded.beside(native);
    let lint = Lint { settings, handlers: &registry, roles };
    let mut rows = lint.rows(table);
    // The contents of files that could not be loaded are unknown.
    let may_be_there = |problem: &Problem| {
        let row = table.rows().iter().find(|row| Some(row.number()) == problem.row);
        row.and_then(class).is_some_and(|class| sound.is_broken(class))
    };
    rows.retain(|problem| problem.code != MISSING_FUNCTION || !may_be_there(problem));
    let is_meant = |class: &str, function: &str| {
        survey.left_out.iter().any(|row| row.text.contains(class) && row.text.contains(function))
            || table.rows().iter().any(|row| row.target().is_function(class, function))
    };
    let mut classes = sound.problems.clone();
    classes.extend(folder.unanswered(&sound, survey));
    // Without any row, every file would be reported as unused.
    if !table.rows().is_empty() || !survey.is_broken {
        classes.extend(folder.unreached(&sound, &is_meant));
    }
    // What a broken row or file would have named is unknown.
    let is_whole = survey.left_out.is_empty() && sound.problems.is_empty();
    let permissions = if is_whole { lint.permissions() } else { Vec::new() };
    ClassReport { rows, classes, permissions, files: sound.files }
}

fn class(row: &Row) -> Option<&str> {
    match row.target() {
        Target::Function { class, .. } => Some(class),
        Target::Upstream(_) => None,
    }
}
