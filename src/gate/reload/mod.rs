//! Reloads the table and the class files while they are in use: a valid change is swapped in as a
//! whole, and an invalid one never replaces a valid one (docs/SECURITY.md G44).

pub(crate) mod file_watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::admin::GateHealth;
use crate::base::Digest;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::TABLE_BYTES_MAX;
use crate::base::text::masked::masked;
use crate::gate::builder::plan_builder::BuiltPlan;
use crate::gate::builder::plan_builder::HandlerSet;
use crate::gate::builder::plan_builder::PlanBuilder;
use crate::gate::classes;
use crate::gate::error::GateError;
use crate::gate::reload::file_watch::FileContents;
use crate::gate::reload::file_watch::ReadMode;
use crate::gate::reload::file_watch::Reload;
use crate::gate::reload::file_watch::Reloadable;
use crate::gate::reload::file_watch::fingerprint;
use crate::gate::reload::file_watch::read;
use crate::http::Dispatch;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Table;

/// Most problems of one reload that are logged and shown. The first ones are the most useful;
/// `callgate check` prints all of them.
const PROBLEMS_MAX: usize = 20;
/// Longest line about one problem, in bytes.
const PROBLEM_BYTES_MAX: usize = 512;

/// The table and the class files of a gate that serves.
///
/// They are reloaded together: a row and its function change together or not at all.
pub(crate) struct PlanFiles {
    plans: PlanBuilder,
    /// The table, if it was given as a text; otherwise it is a file.
    text: Option<String>,
    dispatch: Arc<Dispatch>,
    health: Arc<GateHealth>,
    in_use: Mutex<InUse>,
}

struct InUse {
    /// The digest of the files that the plan in use was built from.
    digest: Digest,
    handlers: HandlerSet,
}

/// The contents of table and class files at one time.
pub(crate) struct Contents {
    pub(crate) table: FileContents,
    pub(crate) classes: classes::FolderContents,
}

impl PlanFiles {
    /// The files of a plan that was built from `contents` and is in use.
    pub(crate) fn new(
        (plans, text): (PlanBuilder, Option<String>),
        (dispatch, health): (Arc<Dispatch>, Arc<GateHealth>),
        handlers: HandlerSet,
        contents: &Contents,
    ) -> Self {
        let in_use = Mutex::new(InUse { digest: contents.digest(), handlers });
        Self { plans, text, dispatch, health, in_use }
    }

    /// Builds a plan from the contents of the files, without putting it into use.
    fn judge(&self, contents: Contents, before: &HandlerSet) -> Result<BuiltPlan, GateError> {
        let table = contents.table.map_err(GateError::File)?;
        let text = text(&self.plans.settings, &table)?;
        let built = self.plans.build(&text, contents.classes, Some(before))?;
        let file = self.plans.settings.handlers.display();
        failpoint::reached(Place::Reload)
            .map_err(|broken| GateError::File(format!("{file}: {broken}")))?;
        Ok(built)
    }

    fn take(&self, built: BuiltPlan) -> HandlerSet {
        let BuiltPlan { plan, handlers, warnings } = built;
        let plan = plan.after(&self.dispatch.routes());
        let (rows, generation) = (plan.table().rows().len(), plan.generation());
        self.dispatch.swap(plan);
        self.health.table_taken(rows, generation);
        let file = self.plans.settings.handlers.display().to_string();
        tracing::info!(event = "table.reloaded", file, generation, rows, warnings = warnings.len());
        for warning in warnings.iter().take(PROBLEMS_MAX) {
            let Problem { line, column, row, code, .. } = warning;
            let what = shown(warning);
            tracing::warn!(event = "table.warning", line, column, row, code, "{what}");
        }
        handlers
    }

    fn refuse_for(&self, why: &GateError) -> Reload {
        let serving = self.dispatch.routes().generation();
        let GateError::Table(problems) = why else {
            return self.refuse(vec![why.to_string()]);
        };
        let mut lines: Vec<String> = problems.iter().take(PROBLEMS_MAX).map(shown).collect();
        let table = self.plans.settings.handlers.display().to_string();
        for (problem, what) in problems.iter().zip(&lines) {
            let Problem { line, column, row, code, .. } = problem;
            if problem.file == table {
                tracing::error!(
                    event = "table.refused",
                    line,
                    column,
                    row,
                    code,
                    serving,
                    "{what}"
                );
            } else {
                tracing::error!(event = "class.refused", line, column, code, serving, "{what}");
            }
        }
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            let what = format!("and {more} more; callgate check lists them all");
            tracing::error!(event = "table.refused", serving, "{what}");
            lines.push(what);
        }
        self.health.table_refused(Some(lines.clone()));
        Reload::Refused(lines)
    }
}

impl Reloadable for PlanFiles {
    type Snapshot = Contents;

    fn files(&self) -> Vec<PathBuf> {
        let table = self.text.is_none().then(|| self.plans.settings.handlers.clone());
        table.into_iter().chain(self.plans.folder.places()).collect()
    }

    fn read(&self, how: ReadMode) -> Contents {
        Contents {
            table: content(&self.plans.settings, self.text.as_deref()),
            classes: self.plans.folder.read(how),
        }
    }

    fn fingerprint(contents: &Contents) -> Digest {
        contents.digest()
    }

    fn remake(&self, contents: Contents) -> Reload {
        let digest = contents.digest();
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.digest == digest {
            // The files are again, or still, those of the plan in use.
            self.health.table_refused(None);
            let generation = self.dispatch.routes().generation();
            tracing::info!(event = "table.unchanged", generation);
            return Reload::Unchanged;
        }
        match self.judge(contents, &in_use.handlers) {
            Ok(built) => {
                let handlers = self.take(built);
                *in_use = InUse { digest, handlers };
                Reload::Taken
            }
            Err(why) => self.refuse_for(&why),
        }
    }

    fn refuse(&self, why: Vec<String>) -> Reload {
        let serving = self.dispatch.routes().generation();
        let lines: Vec<String> = why.iter().map(shown).collect();
        for what in &lines {
            tracing::error!(event = "table.refused", serving, "{what}");
        }
        self.health.table_refused(Some(lines.clone()));
        Reload::Refused(lines)
    }
}

impl Contents {
    fn digest(&self) -> Digest {
        let table = fingerprint(std::slice::from_ref(&self.table));
        let both = [*table.bytes(), *self.classes.digest().bytes()];
        Digest::of_content("plan", both.as_flattened())
    }
}

/// The contents of the table file, or the text given in its place.
pub(crate) fn content(settings: &Settings, text: Option<&str>) -> FileContents {
    match text {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => read(&settings.handlers, TABLE_BYTES_MAX),
    }
}

/// The text of a table file.
pub(crate) fn text(settings: &Settings, content: &[u8]) -> Result<String, GateError> {
    let file = settings.handlers.display().to_string();
    let text = Table::text(&file, content).map_err(|problem| GateError::Table(vec![*problem]))?;
    Ok(text.to_owned())
}

/// A problem, formatted for the log: a table's problems quote arbitrary text of the file.
fn shown(problem: &impl std::fmt::Display) -> String {
    masked(&problem.to_string(), PROBLEM_BYTES_MAX).into_owned()
}
