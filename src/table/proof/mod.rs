//! What can be proven of a table as a whole: which rows can answer, and which rows take the
//! requests that others are for.
//!
//! Nothing here is guessed. That a row can answer is shown by a request which [`Table::find`]
//! sends to it; that it cannot, by a search over all paths there are. Where a search would take
//! too long the row stays undecided, so that no table, however made, can keep this busy.

mod alphabet;
mod duplicates;
mod findings;
mod never;
mod open_end;
mod place;
mod program;
mod prover;
mod reach;
mod search;

use std::fmt;

use serde::Serialize;

use super::Problem;
use super::Row;
use super::Table;
use prover::Prover;

/// What was proven of a table; see [`Table::prove`].
#[derive(Debug)]
pub struct Proof {
    /// Whether each row can answer, in table order.
    pub reach: Vec<Reach>,
    /// Warnings, in the order of the rows they are about.
    pub problems: Vec<Problem>,
    /// The number of each row in its file, in table order.
    numbers: Vec<usize>,
    /// What it cost, in steps of the search: up to [`Proof::STEPS_MAX`].
    pub steps: u64,
}

impl Proof {
    /// Steps after which rows stay undecided. Measured on two busy cores of 2026, all of them take
    /// well below a second; a thousand ordinary rows take half of them, and the 17 rows of the
    /// shipped table 16,000 and less than a millisecond.
    pub const STEPS_MAX: u64 = 8_000_000;

    /// The rows, counted from 1, of which nothing could be proven within bounds.
    pub fn undecided(&self) -> Vec<usize> {
        let rows = self.reach.iter().zip(&self.numbers);
        rows.filter(|(reach, _)| **reach == Reach::Undecided).map(|(_, row)| *row).collect()
    }
}

/// Whether a row can answer any request at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It answers this request.
    Answers(Witness),
    /// No path fits its pattern once paths are canonical.
    FitsNothing,
    /// Every path that fits its pattern is answered by callgate itself, such as `/rest/x`.
    FitsReserved,
    /// These rows, counted from 1 and all before it, together answer every request it is for.
    TakenBy(Vec<usize>),
    /// To find out would take too long.
    Undecided,
}

/// A request that shows something about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The verb.
    pub verb: String,
    /// The canonical path: decoded, and without a mount prefix.
    pub path: String,
}

/// `GET /path`.
impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.path.escape_debug())
    }
}

/// Proves what can be proven of `table`, naming it `file` in problems.
pub(super) fn of(table: &Table, file: &str) -> Proof {
    let duplicates = duplicates::of(table.rows());
    let mut prover = Prover::of(table);
    let rows = table.rows().iter().enumerate();
    let reach = rows.map(|(at, _)| match duplicates.get(&at) {
        Some(duplicate) if duplicate.is_whole => Reach::TakenBy(duplicate.rows()),
        _ => prover.reach(at),
    });
    let reach: Vec<Reach> = reach.collect();
    let problems = findings::of(&mut prover, file, &duplicates, &reach);
    let numbers = table.rows().iter().map(Row::number).collect();
    Proof { reach, problems, numbers, steps: prover.steps() }
}
