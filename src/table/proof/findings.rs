//! The results of the proof, as warnings with a fix.

use std::collections::BTreeMap;

use regex_syntax::ast::Ast;
use regex_syntax::ast::parse::Parser;

use super::Reachability;
use super::Witness;
use super::duplicates::Duplicate;
use super::prover::Prover;
use super::prover::RowResult;
use super::search::MatchEnd;
use crate::table::Pattern;
use crate::table::Problem;
use crate::table::Row;
use crate::table::problem::Flaw;

/// Rows that a sentence lists; for more it gives their number.
const NAMED_MAX: usize = 5;

/// Every warning about the rows of a table as a whole, in table order.
pub(super) fn of(
    prover: &mut Prover<'_>,
    file: &str,
    duplicates: &BTreeMap<usize, Duplicate>,
    reach: &[Reachability],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, (row, reach)) in prover.table.rows().iter().zip(reach).enumerate() {
        let duplicate = duplicates.get(&at);
        if let Some(duplicate) = duplicate {
            let others = duplicate.rows();
            problems.push(Problem { others, ..row.pattern_warning(file, repeats(row, duplicate)) });
        }
        if duplicate.is_none_or(|duplicate| !duplicate.is_whole)
            && let Some(flaw) = unreachable(prover, at, row, reach)
        {
            let others =
                if let Reachability::TakenBy(rows) = reach { rows.clone() } else { vec![] };
            problems.push(Problem { others, ..row.pattern_warning(file, flaw) });
        }
        if let Reachability::Answers(_) = reach
            && let Some(found) = prover.open_end(at)
        {
            let meant = prover.number(found.meant);
            let flaw = reaches_over(row, meant, &found.witness);
            let (others, witness) = (vec![meant], Some(found.witness));
            problems.push(Problem { others, witness, ..row.pattern_warning(file, flaw) });
        }
    }
    problems
}

fn repeats(row: &Row, duplicate: &Duplicate) -> Flaw {
    let earlier = named(&duplicate.rows());
    let pattern = row.pattern();
    if duplicate.is_whole {
        let has = if duplicate.rows().len() == 1 { "has" } else { "have" };
        let verbs = if row.verbs().is_all() { "all verbs".into() } else { row.verbs().to_string() };
        let what =
            format!("{earlier} already {has} {pattern} with {verbs}, so that this never answers");
        return Flaw::new(
            "duplicate-row",
            what,
            "remove this row, or correct its pattern or verbs",
        );
    }
    let verbs: Vec<&str> = duplicate.verbs.iter().map(|(verb, _)| &**verb).collect();
    let verbs = verbs.join(", ");
    let what = format!("{pattern} with {verbs} is answered by {earlier} already");
    Flaw::new("duplicate-row", what, format!("remove {verbs} here, or correct the pattern"))
}

fn unreachable(
    prover: &mut Prover<'_>,
    at: usize,
    row: &Row,
    reach: &Reachability,
) -> Option<Flaw> {
    let pattern = row.pattern();
    match reach {
        Reachability::Answers(_) | Reachability::Undecided => None,
        Reachability::FitsNothing if pattern.is_known_to_fit_nothing() => None,
        Reachability::FitsNothing => Some(Flaw::new(
            "pattern-never-fits",
            format!("{pattern} fits no request"),
            "correct it: a path begins with a slash and has no \"//\", no \".\" or \"..\" between \
             slashes, no backslash and no control character; nothing comes before ^ or after $",
        )),
        Reachability::FitsReserved => Some(Flaw::new(
            "pattern-never-fits",
            format!("{pattern} fits only paths that callgate answers itself, such as /rest"),
            "choose another first segment",
        )),
        Reachability::TakenBy(rows) => {
            let take = if rows.len() == 1 { "takes" } else { "together take" };
            let takers = named(rows);
            let what = format!("{pattern} can never answer: {takers} {take} all of its requests");
            let fix = way_out(prover, at, rows);
            Some(Flaw::new("unreachable-row", what, fix))
        }
    }
}

fn way_out(prover: &mut Prover<'_>, at: usize, takers: &[usize]) -> String {
    let [number] = takers else {
        return format!("move this row above {}, or remove it", named(takers));
    };
    let Some(taker) = prover.place(*number) else {
        return format!("move this row above row {number}, or remove it");
    };
    let closed = prover.ask(&[(at, MatchEnd::Open)], &[(taker, MatchEnd::Closed)]);
    let pattern = prover.row(taker).map(Row::pattern);
    let is_freed = matches!(closed, RowResult::Path(_)) && pattern.is_some_and(Pattern::is_regex);
    if prover.is_within(taker, at) {
        // Whichever of the two comes first leaves no requests to the other.
        return format!("remove one of the two, or give row {number} other verbs");
    }
    match pattern.filter(|_| is_freed) {
        Some(pattern) => {
            let closed = with_end(pattern.as_str());
            format!("move this row above row {number}, or end that one: {closed:?}")
        }
        None => format!("move this row above row {number}, or remove it"),
    }
}

fn reaches_over(row: &Row, meant: usize, witness: &Witness) -> Flaw {
    let pattern = row.pattern();
    let what = format!("{pattern} also answers {witness}, which row {meant} is for");
    let fix = format!("end it with $: {:?}", with_end(pattern.as_str()));
    Flaw::new("open-end", what, fix)
}

/// The expression with `$` at its end, which binds to the last branch of an alternation only.
fn with_end(expression: &str) -> String {
    match Parser::new().parse(expression) {
        Ok(Ast::Alternation(_)) => format!("(?:{expression})$"),
        _ => format!("{expression}$"),
    }
}

/// `row 2`, or `rows 2, 3 and 4`.
fn named(rows: &[usize]) -> String {
    let shown: Vec<String> = rows.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match (shown.as_slice(), rows.len() - shown.len()) {
        ([], _) => String::new(),
        ([row], _) => format!("row {row}"),
        ([most @ .., last], 0) => format!("rows {} and {last}", most.join(", ")),
        (shown, more) => format!("rows {} and {more} more", shown.join(", ")),
    }
}
