//! Rows whose missing `$` makes them match the paths of a later, more specific row.

use std::collections::BTreeSet;

use super::Witness;
use super::prover::Prover;
use super::prover::RowResult;
use super::reach::unlisted;
use super::search::MatchEnd;
use crate::table::Row;

/// A request that a row handles only because its expression does not end with `$`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenEnd {
    /// The index of the row that the request was written for.
    pub(super) meant: usize,
    pub(super) witness: Witness,
}

impl Prover<'_> {
    /// Whether the missing `$` of the row at this index is probably an oversight.
    ///
    /// It is one if a later row matches, up to its very end, a path that this row would not match
    /// with `$` at its end, and the later row is not merely wider: a catch-all comes last, and rows
    /// before it are meant to handle some of its paths.
    pub(super) fn open_end(&mut self, at: usize) -> Option<OpenEnd> {
        let row = self.row(at)?;
        if !row.pattern().is_regex() {
            return None;
        }
        let rivals = self.rivals(at)?;
        let mut is_open_ended = None;
        self.successors(at)?.into_iter().find_map(|later| {
            // The cheapest query first: most rows are followed only by a few rows and by wide ones.
            let beyond = self.ask(&[(at, MatchEnd::Closed)], &[(later, MatchEnd::Open)]);
            if !matches!(beyond, RowResult::Path(_)) {
                return None;
            }
            if !*is_open_ended.get_or_insert_with(|| self.is_open_ended(at)) {
                return None;
            }
            let verbs = shared_verbs(row, self.row(later)?);
            verbs.iter().find_map(|verb| self.taken(at, later, verb, &rivals))
        })
    }

    fn is_open_ended(&mut self, at: usize) -> bool {
        let beyond = self.ask(&[(at, MatchEnd::Open)], &[(at, MatchEnd::Closed)]);
        matches!(beyond, RowResult::Path(_))
    }

    /// A path that the later row matches up to its end, and that this row handles.
    fn taken(&mut self, at: usize, later: usize, verb: &str, rivals: &[usize]) -> Option<OpenEnd> {
        self.spend(rivals.len())?;
        let has_verb = |at: &usize| self.row(*at).is_some_and(|row| row.verbs().allows(verb));
        let first = rivals.iter().copied().filter(has_verb).map(|rival| (rival, MatchEnd::Open));
        let without: Vec<(usize, MatchEnd)> =
            std::iter::once((at, MatchEnd::Closed)).chain(first).collect();
        let within = [(at, MatchEnd::Open), (later, MatchEnd::Closed)];
        let RowResult::Path(path) = self.ask(&within, &without) else { return None };
        let witness = self.confirmed(at, verb, path)?;
        Some(OpenEnd { meant: later, witness })
    }
}

/// Verbs that both rows match; one stands for all that neither lists.
fn shared_verbs(one: &Row, other: &Row) -> Vec<String> {
    let (lists, checks) = if one.verbs().is_all() { (other, one) } else { (one, other) };
    if lists.verbs().is_all() {
        return vec![unlisted(&BTreeSet::new())];
    }
    let shared = lists.verbs().names().filter(|verb| checks.verbs().allows(verb));
    shared.map(str::to_owned).collect()
}
