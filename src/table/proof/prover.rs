//! A table prepared for queries about all possible paths.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Proof;
use super::Witness;
use super::program::CharClasses;
use super::program::Program;
use super::search::Budget;
use super::search::MatchEnd;
use super::search::PatternTerm;
use super::search::SearchResult;
use super::search::search;
use super::unroutable;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::Row;
use crate::table::Table;

/// Step limit of one query, so that one hostile row does not leave the others undecided.
const QUESTION_STEPS_MAX: u64 = 200_000;

/// Rows as programs, and the remaining budget.
#[derive(Debug)]
pub(super) struct Prover<'t> {
    pub(super) table: &'t Table,
    /// None for a row too large to analyze.
    programs: Vec<Option<Program>>,
    /// The paths that never reach a row: not canonical, or reserved.
    unroutable: [Option<Program>; 2],
    classes: CharClasses,
    budget: Budget,
}

/// A row's part in a query, by its index in the table.
pub(super) type RowTerm = (usize, MatchEnd);

/// The result of a query about rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowResult {
    /// A canonical path.
    Path(String),
    /// No path: these excluded rows match them, or some are reserved.
    None { rows: BTreeSet<usize>, reserved: bool },
    /// The budget was too small.
    Open,
}

impl<'t> Prover<'t> {
    pub(super) fn of(table: &'t Table) -> Self {
        let mut classes = CharClasses::default();
        let mut compile = |text: &str| Program::of(text, &mut classes);
        let unroutable = [compile(unroutable::NOT_CANONICAL), compile(&unroutable::reserved())];
        let programs =
            table.rows().iter().map(|row| compile(&row.pattern().expression())).collect();
        Self { table, programs, unroutable, classes, budget: Budget::of(Proof::STEPS_MAX) }
    }

    /// The steps taken so far.
    pub(super) const fn steps(&self) -> u64 {
        Proof::STEPS_MAX - self.budget.left()
    }

    pub(super) fn row(&self, at: usize) -> Option<&'t Row> {
        self.table.rows().get(at)
    }

    /// The number in the file of the row at an index of the table; they differ where rows were left
    /// out.
    pub(super) fn number(&self, at: usize) -> usize {
        self.row(at).map_or(at + 1, Row::number)
    }

    /// The index in the table of the row with this number.
    pub(super) fn place(&self, number: usize) -> Option<usize> {
        self.table.rows().binary_search_by_key(&number, Row::number).ok()
    }

    fn program(&self, at: usize) -> Option<&Program> {
        self.programs.get(at)?.as_ref()
    }

    /// The rows before `at` that may match one of its paths, in table order. Rows too large to
    /// analyze are left out, so a path that is found may belong to one of them.
    pub(super) fn rivals(&mut self, at: usize) -> Option<Vec<usize>> {
        self.meeting(at, 0..at)
    }

    /// The rows after `at` that may match one of its paths, in table order.
    pub(super) fn successors(&mut self, at: usize) -> Option<Vec<usize>> {
        self.meeting(at, at + 1..self.programs.len())
    }

    fn meeting(&mut self, at: usize, others: Range<usize>) -> Option<Vec<usize>> {
        // Most comparisons end at the first letters, so many of them cost one step.
        self.spend(others.len() / 8)?;
        let own = self.program(at)?;
        let meets = |other: &usize| self.program(*other).is_some_and(|p| p.may_meet(own));
        Some(others.filter(meets).collect())
    }

    /// Charges steps for work done elsewhere.
    pub(super) fn spend(&mut self, steps: usize) -> Option<()> {
        self.budget.spend(u64::try_from(steps).ok()?)
    }

    /// Looks for a canonical path that every row of `within` matches, and none of `without`.
    pub(super) fn ask(&mut self, within: &[RowTerm], without: &[RowTerm]) -> RowResult {
        let (answer, spent) = self.answer(within, without).unwrap_or((RowResult::Open, 0));
        if self.budget.spend(spent).is_none() {
            self.budget = Budget::of(0);
        }
        answer
    }

    fn answer(&self, within: &[RowTerm], without: &[RowTerm]) -> Option<(RowResult, u64)> {
        let part = |(row, end): &RowTerm| {
            self.program(*row).map(|program| PatternTerm { program, end: *end })
        };
        let within: Vec<PatternTerm<'_>> = within.iter().map(part).collect::<Option<_>>()?;
        let unroutable = self
            .unroutable
            .iter()
            .map(|path| path.as_ref().map(|program| PatternTerm { program, end: MatchEnd::Open }));
        let excluded: Vec<PatternTerm<'_>> =
            unroutable.chain(without.iter().map(part)).collect::<Option<_>>()?;
        let steps = self.budget.left().min(QUESTION_STEPS_MAX);
        let mut budget = Budget::of(steps);
        let answer = match search(&within, &excluded, &self.classes, &mut budget) {
            SearchResult::Open => RowResult::Open,
            SearchResult::Path(path) => RowResult::Path(path),
            SearchResult::None(taken_by) => {
                let place = |at: &usize| at.checked_sub(self.unroutable.len());
                let row = |at: usize| without.get(at).map(|(row, _)| *row);
                let rows = taken_by.iter().filter_map(place).filter_map(row).collect();
                RowResult::None { rows, reserved: taken_by.contains(&1) }
            }
        };
        Some((answer, steps - budget.left()))
    }

    /// The request as a witness, if the table really maps it to the row. A search that left out a
    /// row too large to analyze may have found a path of that row.
    pub(super) fn confirmed(&self, at: usize, verb: &str, path: String) -> Option<Witness> {
        let canonical = CanonicalPath::of_decoded(&path)?;
        match self.table.find(verb, &canonical) {
            Lookup::Row(row) if row.number() == self.row(at)?.number() => {
                Some(Witness { verb: verb.to_owned(), path })
            }
            _ => None,
        }
    }
}
