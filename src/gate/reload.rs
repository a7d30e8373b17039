//! The table that is read from a file, and read again: a good one is swapped in whole, and a bad
//! one never replaces a good one (SEC G44).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::admin::Health;
use crate::backend::Registry;
use crate::base::Digest;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::TABLE_BYTES_MAX;
use crate::base::masked::masked;
use crate::gate::failure::GateError;
use crate::gate::lint::lint;
use crate::gate::watched::Content;
use crate::gate::watched::Reload;
use crate::gate::watched::Remake;
use crate::gate::watched::read;
use crate::http::Dispatch;
use crate::http::Plan;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Table;

/// Most problems of one table that are logged and shown. The first ones are worth most: mend them
/// and run `callgate check`.
const PROBLEMS_MAX: usize = 20;
/// Longest line about one problem, in bytes.
const PROBLEM_BYTES_MAX: usize = 512;

/// The table file of a gate that serves.
pub(super) struct TableFile {
    settings: Settings,
    registry: Registry,
    dispatch: Arc<Dispatch>,
    health: Arc<Health>,
    /// The content that is in use.
    in_use: Mutex<Digest>,
}

impl TableFile {
    /// The file that `settings` name; `content` is what was read of it and is in use.
    pub(super) fn new(
        (settings, registry): (Settings, Registry),
        (dispatch, health): (Arc<Dispatch>, Arc<Health>),
        content: &[u8],
    ) -> Self {
        let in_use = Mutex::new(digest(content));
        Self { settings, registry, dispatch, health, in_use }
    }

    /// Makes a plan of what the file holds, which is not in use yet.
    fn judge(&self, content: Vec<u8>) -> Result<(Plan, Vec<Problem>), GateError> {
        let made = plan(&text(&self.settings, content)?, &self.settings, &self.registry)?;
        let file = self.settings.handlers.display();
        failpoint::reached(Place::Reload)
            .map_err(|broken| GateError::File(format!("{file}: {broken}")))?;
        Ok(made)
    }

    fn take(&self, plan: Plan, warnings: &[Problem]) -> Reload {
        let plan = plan.after(&self.dispatch.plan());
        let (rows, generation) = (plan.table().rows().len(), plan.generation());
        self.dispatch.swap(plan);
        self.health.table_taken(rows, generation);
        let file = self.settings.handlers.display().to_string();
        tracing::info!(event = "table.reloaded", file, generation, rows, warnings = warnings.len());
        for warning in warnings.iter().take(PROBLEMS_MAX) {
            let Problem { line, column, row, code, .. } = warning;
            let what = shown(warning);
            tracing::warn!(event = "table.warning", line, column, row, code, "{what}");
        }
        Reload::Taken
    }

    fn refuse(&self, why: &GateError) -> Reload {
        let generation = self.dispatch.plan().generation();
        let mut lines = Vec::new();
        let more = match why {
            GateError::Table(problems) => {
                for problem in problems.iter().take(PROBLEMS_MAX) {
                    let Problem { line, column, row, code, .. } = problem;
                    let what = shown(problem);
                    tracing::error!(
                        event = "table.refused",
                        line,
                        column,
                        row,
                        code,
                        serving = generation,
                        "{what}"
                    );
                    lines.push(what);
                }
                problems.len().saturating_sub(PROBLEMS_MAX)
            }
            other => {
                let what = shown(other);
                tracing::error!(event = "table.refused", serving = generation, "{what}");
                lines.push(what);
                0
            }
        };
        if more > 0 {
            let what = format!("and {more} more; callgate check lists them all");
            tracing::error!(event = "table.refused", serving = generation, "{what}");
            lines.push(what);
        }
        self.health.table_refused(Some(lines.clone()));
        Reload::Refused(lines)
    }
}

impl Remake for TableFile {
    fn files(&self) -> Vec<(PathBuf, usize)> {
        vec![(self.settings.handlers.clone(), TABLE_BYTES_MAX)]
    }

    fn remake(&self, contents: Vec<Content>) -> Reload {
        let Some(content) = contents.into_iter().next() else { return Reload::Unchanged };
        let content = match content {
            Ok(content) => content,
            Err(why) => return self.refuse(&GateError::File(why)),
        };
        let found = digest(&content);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if *in_use == found {
            // The table in use is back after one that was refused, or never went away.
            self.health.table_refused(None);
            let generation = self.dispatch.plan().generation();
            tracing::info!(event = "table.unchanged", generation);
            return Reload::Unchanged;
        }
        match self.judge(content) {
            Ok((plan, warnings)) => {
                *in_use = found;
                self.take(plan, &warnings)
            }
            Err(why) => self.refuse(&why),
        }
    }
}

/// Reads the table file that the settings name, before there is a gate.
pub(super) fn first_content(settings: &Settings) -> Result<Vec<u8>, GateError> {
    read(&settings.handlers, TABLE_BYTES_MAX).map_err(GateError::File)
}

/// The text of a table file.
pub(super) fn text(settings: &Settings, content: Vec<u8>) -> Result<String, GateError> {
    String::from_utf8(content).map_err(|error| {
        let (file, at) = (settings.handlers.display(), error.utf8_error().valid_up_to());
        GateError::File(format!("{file}: is not UTF-8 after {at} bytes; save it as UTF-8"))
    })
}

/// Makes a plan of the text of a table, with what is odd about it. Under `strict` nothing may be.
pub(super) fn plan(
    text: &str,
    settings: &Settings,
    registry: &Registry,
) -> Result<(Plan, Vec<Problem>), GateError> {
    let file = settings.handlers.display().to_string();
    let checked = Table::read(&file, text).map_err(GateError::Table)?;
    let plan = Plan::new(checked.table, registry);
    let mut warnings = checked.warnings;
    warnings.extend(lint(plan.table(), settings, registry));
    // A proof takes time that only a table which must be without fault is worth.
    if settings.strict {
        warnings.extend(plan.table().prove(&file).problems);
    }
    if settings.strict && !warnings.is_empty() {
        return Err(GateError::Table(warnings));
    }
    Ok((plan, warnings))
}

fn digest(content: &[u8]) -> Digest {
    Digest::of_content("table", content)
}

/// A problem as it may be logged: a table quotes whatever its author put into it.
fn shown(problem: &impl std::fmt::Display) -> String {
    masked(&problem.to_string(), PROBLEM_BYTES_MAX).into_owned()
}
