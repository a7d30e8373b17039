//! What the class files beside a table come to, for whoever only wants to know.

use std::sync::Arc;

use crate::backend::Registry;
use crate::base::Entropy;
use crate::base::entropy::OsEntropy;
use crate::gate::classes::Folder;
use crate::gate::lint::MISSING_FUNCTION;
use crate::gate::lint::lint;
use crate::gate::making::wanted;
use crate::gate::watched::How;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;

/// Class files and the rows that name them, looked at without serving.
#[derive(Debug, Default)]
pub struct Examined {
    /// What is odd about rows once they meet their classes, as [`lint`] says it.
    pub rows: Vec<Problem>,
    /// What is wrong or odd with class files.
    pub classes: Vec<Problem>,
    /// How many class files there are.
    pub files: usize,
}

/// Loads the class files as a gate would, and lets them go again. Without a table, because that is
/// broken, they are compiled only.
///
/// It is to be called within a runtime of tokio, although nothing is waited for.
pub fn examine(table: Option<&Table>, settings: &Settings, native: &Registry) -> Examined {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy::new());
    let folder = Folder::of(settings, None, &entropy);
    let found = folder.read(How::Now);
    let files = found.files();
    let wanted = table.map(|table| wanted(table, native)).unwrap_or_default();
    let loaded = folder.load(found.clone(), &wanted, None);
    let Some(table) = table else {
        return Examined { rows: Vec::new(), classes: loaded.err().unwrap_or_default(), files };
    };
    match loaded {
        Ok(loaded) => Examined {
            rows: lint(table, settings, &loaded.beside(native)),
            classes: folder.unreached(&loaded, table),
            files,
        },
        Err(classes) => {
            let mut rows = lint(table, settings, native);
            // What is in the files that could not be loaded is not known.
            let may_be_there = |problem: &Problem| {
                let row = problem.row.and_then(|number| table.rows().get(number.checked_sub(1)?));
                row.and_then(class).is_some_and(|class| found.may_have(class))
            };
            rows.retain(|problem| problem.code != MISSING_FUNCTION || !may_be_there(problem));
            Examined { rows, classes, files }
        }
    }
}

fn class(row: &Row) -> Option<&str> {
    match row.target() {
        Target::Function { class, .. } => Some(class),
        Target::Upstream(_) => None,
    }
}
