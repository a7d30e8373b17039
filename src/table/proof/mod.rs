//! What can be proven of a table as a whole: which rows are reachable, and which rows handle the
//! requests that others are written for.
//!
//! Nothing here is a guess. A row is reachable if [`Table::find`] maps an example request to it,
//! and unreachable if a search over all possible paths finds none. Where a search would take too
//! long the row stays undecided, so that no table, however crafted, can use unbounded time.
//!
//! | file | part |
//! |---|---|
//! | `prover` | a table prepared for queries, and the budget |
//! | `reach`, `open_end`, `duplicates` | the queries: unreachable rows, missing `$`, repeated patterns |
//! | `findings` | the results as warnings |
//! | `search` | the search for a path, breadth first over product states |
//! | `program`, `alphabet`, `boundary` | patterns as automata, their common letters, their assertions |
//! | `unroutable` | the paths that no row sees |

mod alphabet;
mod boundary;
mod duplicates;
mod findings;
mod open_end;
mod program;
mod prover;
mod reach;
mod search;
mod unroutable;

use std::fmt;

use serde::Serialize;

use super::Problem;
use super::Row;
use super::Table;
use prover::Prover;

/// The result of the proof; see [`Table::prove`].
#[derive(Debug)]
pub struct Proof {
    /// Whether each row is reachable, in table order.
    pub reach: Vec<Reachability>,
    /// Warnings, in the order of their rows.
    pub problems: Vec<Problem>,
    /// The number of each row in its file, in table order.
    numbers: Vec<usize>,
    /// The cost in steps of the search: up to [`Proof::STEPS_MAX`].
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "tests hold its bound")
    )]
    pub steps: u64,
}

impl Proof {
    /// Steps after which rows stay undecided. Measured on two busy cores of 2026, all of them take
    /// well below a second; a thousand ordinary rows take half of them, and the 17 rows of the
    /// shipped table 16,000 and less than a millisecond.
    pub const STEPS_MAX: u64 = 8_000_000;

    /// The rows, counted from 1, of which nothing could be proven within the budget.
    pub fn undecided(&self) -> Vec<usize> {
        let rows = self.reach.iter().zip(&self.numbers);
        rows.filter(|(reach, _)| **reach == Reachability::Undecided).map(|(_, row)| *row).collect()
    }
}

/// Whether a row handles any request at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// It handles this request.
    Answers(Witness),
    /// No canonical path matches its pattern.
    FitsNothing,
    /// callgate itself handles every path that matches its pattern, such as `/rest/x`.
    FitsReserved,
    /// These rows, counted from 1 and all before it, together handle every request it is written
    /// for.
    TakenBy(Vec<usize>),
    /// The budget was too small to decide.
    Undecided,
}

/// An example request that demonstrates a property of a table.
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
        Some(duplicate) if duplicate.is_whole => Reachability::TakenBy(duplicate.rows()),
        _ => prover.reach(at),
    });
    let reach: Vec<Reachability> = reach.collect();
    let problems = findings::of(&mut prover, file, &duplicates, &reach);
    let numbers = table.rows().iter().map(Row::number).collect();
    Proof { reach, problems, numbers, steps: prover.steps() }
}
