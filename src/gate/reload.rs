//! The files that a plan is made of, read again while it is in use: a good change of table or class
//! files is swapped in whole, and a bad one never replaces a good one (docs/SECURITY.md G44).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::admin::Health;
use crate::base::Digest;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::TABLE_BYTES_MAX;
use crate::base::masked::masked;
use crate::gate::classes;
use crate::gate::failure::GateError;
use crate::gate::making::Made;
use crate::gate::making::Maker;
use crate::gate::making::Roster;
use crate::gate::watched::Content;
use crate::gate::watched::How;
use crate::gate::watched::Reload;
use crate::gate::watched::Remake;
use crate::gate::watched::fingerprint;
use crate::gate::watched::read;
use crate::http::Dispatch;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Table;

/// Most problems of one reload that are logged and shown. The first ones are worth most: mend them
/// and run `callgate check`.
const PROBLEMS_MAX: usize = 20;
/// Longest line about one problem, in bytes.
const PROBLEM_BYTES_MAX: usize = 512;

/// The table and the class files of a gate that serves.
///
/// They are one thing: a row and the function that answers it change together or not at all.
pub(super) struct PlanFiles {
    maker: Maker,
    /// The table, where it was given as a text; otherwise it is a file.
    text: Option<String>,
    dispatch: Arc<Dispatch>,
    health: Arc<Health>,
    in_use: Mutex<InUse>,
}

struct InUse {
    /// What the files held that the plan in use was made of.
    digest: Digest,
    roster: Roster,
}

/// What table and class files held at one moment.
pub(super) struct Contents {
    pub(super) table: Content,
    pub(super) classes: classes::Found,
}

impl PlanFiles {
    /// The files of a plan that was made of `contents` and is in use.
    pub(super) fn new(
        (maker, text): (Maker, Option<String>),
        (dispatch, health): (Arc<Dispatch>, Arc<Health>),
        roster: Roster,
        contents: &Contents,
    ) -> Self {
        let in_use = Mutex::new(InUse { digest: contents.digest(), roster });
        Self { maker, text, dispatch, health, in_use }
    }

    /// Makes a plan of what the files hold, which is not in use yet.
    fn judge(&self, contents: Contents, before: &Roster) -> Result<Made, GateError> {
        let table = contents.table.map_err(GateError::File)?;
        let text = text(&self.maker.settings, &table)?;
        let made = self.maker.make(&text, contents.classes, Some(before))?;
        let file = self.maker.settings.handlers.display();
        failpoint::reached(Place::Reload)
            .map_err(|broken| GateError::File(format!("{file}: {broken}")))?;
        Ok(made)
    }

    fn take(&self, made: Made) -> Roster {
        let Made { plan, roster, warnings } = made;
        let plan = plan.after(&self.dispatch.routes());
        let (rows, generation) = (plan.table().rows().len(), plan.generation());
        self.dispatch.swap(plan);
        self.health.table_taken(rows, generation);
        let file = self.maker.settings.handlers.display().to_string();
        tracing::info!(event = "table.reloaded", file, generation, rows, warnings = warnings.len());
        for warning in warnings.iter().take(PROBLEMS_MAX) {
            let Problem { line, column, row, code, .. } = warning;
            let what = shown(warning);
            tracing::warn!(event = "table.warning", line, column, row, code, "{what}");
        }
        roster
    }

    fn refuse_for(&self, why: &GateError) -> Reload {
        let serving = self.dispatch.routes().generation();
        let GateError::Table(problems) = why else {
            return self.refuse(vec![why.to_string()]);
        };
        let mut lines: Vec<String> = problems.iter().take(PROBLEMS_MAX).map(shown).collect();
        let table = self.maker.settings.handlers.display().to_string();
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

impl Remake for PlanFiles {
    type Found = Contents;

    fn files(&self) -> Vec<PathBuf> {
        let table = self.text.is_none().then(|| self.maker.settings.handlers.clone());
        table.into_iter().chain(self.maker.folder.places()).collect()
    }

    fn read(&self, how: How) -> Contents {
        Contents {
            table: content(&self.maker.settings, self.text.as_deref()),
            classes: self.maker.folder.read(how),
        }
    }

    fn fingerprint(contents: &Contents) -> Digest {
        contents.digest()
    }

    fn remake(&self, contents: Contents) -> Reload {
        let digest = contents.digest();
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.digest == digest {
            // What is in use is back after something that was refused, or never went away.
            self.health.table_refused(None);
            let generation = self.dispatch.routes().generation();
            tracing::info!(event = "table.unchanged", generation);
            return Reload::Unchanged;
        }
        match self.judge(contents, &in_use.roster) {
            Ok(made) => {
                let roster = self.take(made);
                *in_use = InUse { digest, roster };
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

/// What the table file holds, or the text that stands in for it.
pub(super) fn content(settings: &Settings, text: Option<&str>) -> Content {
    match text {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => read(&settings.handlers, TABLE_BYTES_MAX),
    }
}

/// The text of a table file.
pub(super) fn text(settings: &Settings, content: &[u8]) -> Result<String, GateError> {
    let file = settings.handlers.display().to_string();
    let text = Table::text(&file, content).map_err(|problem| GateError::Table(vec![*problem]))?;
    Ok(text.to_owned())
}

/// A problem as it may be logged: a table quotes whatever its author put into it.
fn shown(problem: &impl std::fmt::Display) -> String {
    masked(&problem.to_string(), PROBLEM_BYTES_MAX).into_owned()
}
