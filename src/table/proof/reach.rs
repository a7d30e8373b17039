//! Whether a row is reachable, and which rows before it handle its requests.

use std::collections::BTreeSet;

use super::Reachability;
use super::Witness;
use super::prover::Prover;
use super::prover::RowResult;
use super::search::MatchEnd;
use crate::table::Row;
use crate::table::Verbs;

/// Names that stand for a verb that no row lists, the most common first.
const UNLISTED: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "BREW"];

/// Up to this many rivals, the full query comes first.
const RIVALS_FEW: usize = 8;

/// A verb of a row, and the earlier rows that have the verb and may match its paths.
struct Rivalry {
    verb: String,
    rivals: Vec<usize>,
}

impl Prover<'_> {
    /// Whether the row at this index is reachable.
    pub(super) fn reach(&mut self, at: usize) -> Reachability {
        self.try_reach(at).unwrap_or(Reachability::Undecided)
    }

    fn try_reach(&mut self, at: usize) -> Option<Reachability> {
        let row = self.row(at)?;
        let rivals = self.rivals(at)?;
        let rivalries = self.rivalries(row, &rivals)?;
        if rivals.len() > RIVALS_FEW
            && let Some(witness) = self.guess(at, &rivalries)
        {
            return Some(Reachability::Answers(witness));
        }
        let mut takers: Vec<BTreeSet<usize>> = Vec::new();
        let mut is_open = false;
        for rivalry in rivalries {
            match self.ask(&[(at, MatchEnd::Open)], &open(&rivalry.rivals)) {
                RowResult::Path(path) => match self.confirmed(at, &rivalry.verb, path) {
                    Some(witness) => return Some(Reachability::Answers(witness)),
                    None => is_open = true,
                },
                RowResult::None { rows, .. } => takers.push(rows),
                RowResult::Open => is_open = true,
            }
        }
        match self.ask(&[(at, MatchEnd::Open)], &[]) {
            RowResult::None { reserved: true, .. } => return Some(Reachability::FitsReserved),
            RowResult::None { reserved: false, .. } => return Some(Reachability::FitsNothing),
            RowResult::Path(_) | RowResult::Open => {}
        }
        // One row is easier to understand than several, even if the several come first. It is also
        // easier to prove, so it is tried where the full query exceeded its limit.
        if let Some(taker) = self.single_taker(at, &rivals) {
            return Some(Reachability::TakenBy(vec![self.number(taker)]));
        }
        if is_open {
            return None;
        }
        let fewest = takers.into_iter().flat_map(|rows| self.fewest(at, rows));
        let takers: BTreeSet<usize> = fewest.collect();
        let rows: BTreeSet<usize> = takers.into_iter().map(|taker| self.number(taker)).collect();
        Some(Reachability::TakenBy(rows.into_iter().collect()))
    }

    /// The shortest path of the row alone, if the table maps it to the row. With many rows before
    /// it that is far cheaper than a path that none of them matches, and mostly sufficient.
    fn guess(&mut self, at: usize, rivalries: &[Rivalry]) -> Option<Witness> {
        let RowResult::Path(path) = self.ask(&[(at, MatchEnd::Open)], &[]) else { return None };
        let mut verbs = rivalries.iter().map(|rivalry| &rivalry.verb);
        verbs.find_map(|verb| self.confirmed(at, verb, path.clone()))
    }

    /// The queries that cover every verb of the row: verbs with the same rivals share a query.
    fn rivalries(&mut self, row: &Row, rivals: &[usize]) -> Option<Vec<Rivalry>> {
        let mut rivalries: Vec<Rivalry> = Vec::new();
        for verb in self.verbs(row, rivals)? {
            self.spend(rivals.len() + rivalries.len())?;
            let has_verb = |at: &usize| self.row(*at).is_some_and(|row| row.verbs().allows(&verb));
            let rivals: Vec<usize> = rivals.iter().copied().filter(has_verb).collect();
            if !rivalries.iter().any(|known| known.rivals == rivals) {
                rivalries.push(Rivalry { verb, rivals });
            }
        }
        Some(rivalries)
    }

    /// The verbs of the row. For a row that matches all verbs: those that its rivals list, preceded
    /// by one that none lists, which has the fewest rivals.
    fn verbs(&mut self, row: &Row, rivals: &[usize]) -> Option<Vec<String>> {
        if !row.verbs().is_all() {
            return Some(row.verbs().names().map(str::to_owned).collect());
        }
        let rows = rivals.iter().filter_map(|at| self.row(*at));
        let listed: BTreeSet<&str> = rows.flat_map(|row| row.verbs().names()).collect();
        self.spend(listed.len())?;
        let verbs = std::iter::once(unlisted(&listed));
        Some(verbs.chain(listed.iter().map(|verb| (*verb).to_owned())).collect())
    }

    /// A row that alone handles every request of the row at `at`.
    fn single_taker(&mut self, at: usize, candidates: &[usize]) -> Option<usize> {
        let verbs = self.row(at)?.verbs();
        candidates.iter().copied().find(|taker| {
            self.row(*taker).is_some_and(|row| covers(row.verbs(), verbs))
                && self.is_within(at, *taker)
        })
    }

    /// Whether every canonical path of the one row is also one of the other's.
    pub(super) fn is_within(&mut self, one: usize, other: usize) -> bool {
        let answer = self.ask(&[(one, MatchEnd::Open)], &[(other, MatchEnd::Open)]);
        matches!(answer, RowResult::None { .. })
    }

    /// Drops every row without which the others still match all paths of the row at `at`.
    fn fewest(&mut self, at: usize, takers: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut kept = takers.clone();
        // From the last on, so that the first rows remain.
        for taker in takers.into_iter().rev() {
            let others: Vec<usize> = kept.iter().copied().filter(|row| *row != taker).collect();
            if let RowResult::None { rows, .. } = self.ask(&[(at, MatchEnd::Open)], &open(&others))
            {
                kept = rows;
            }
        }
        kept
    }
}

/// Whether a row with the verbs `all` matches every verb of `some`.
pub(super) fn covers(all: &Verbs, some: &Verbs) -> bool {
    all.is_all() || !some.is_all() && some.names().all(|verb| all.allows(verb))
}

/// A verb that is not listed.
pub(super) fn unlisted(listed: &BTreeSet<&str>) -> String {
    let plain = UNLISTED.into_iter().map(str::to_owned);
    // One number more than there are names, so that one is left.
    let numbered = (0..=listed.len()).map(|number| format!("VERB{number}"));
    plain.chain(numbered).find(|verb| !listed.contains(&**verb)).unwrap_or_default()
}

fn open(rows: &[usize]) -> Vec<(usize, MatchEnd)> {
    rows.iter().map(|row| (*row, MatchEnd::Open)).collect()
}
