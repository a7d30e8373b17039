//! Finds a path that some patterns match and others do not, or proves that there is none.
//!
//! All patterns of a query read the same path in parallel. The nodes they have reached after some
//! characters form a state; two paths with the same state have the same continuations, so every
//! state is explored once, shortest path first. When no state is left, there is no such path.

use std::collections::BTreeSet;
use std::collections::HashSet;

use super::alphabet::Alphabet;
use super::alphabet::Letters;
use super::boundary::CharBoundary;
use super::boundary::InWord;
use super::program::CharClasses;
use super::program::Node;
use super::program::Program;

/// Most states of one query. An ordinary one has as many as its pattern has characters.
const STATES_MAX: usize = 20_000;

/// The cost of a state besides its nodes, in steps: its memory, and looking it up.
const CALL_STEPS: u64 = 8;

/// The number of steps that remain; when it is used up, queries stay open.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) const fn of(steps: u64) -> Self {
        Self(steps)
    }

    /// Charges steps; none if too few remain.
    pub(super) fn spend(&mut self, steps: u64) -> Option<()> {
        self.0 = self.0.checked_sub(steps)?;
        Some(())
    }

    pub(super) const fn left(&self) -> u64 {
        self.0
    }
}

/// Where a match has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchEnd {
    /// Anywhere, as rows are matched.
    Open,
    /// At the end of the path, as if the pattern ended with `$`.
    Closed,
}

/// A pattern's part in a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct PatternTerm<'p> {
    pub(super) program: &'p Program,
    pub(super) end: MatchEnd,
}

/// The result of a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SearchResult {
    /// One of the shortest paths.
    Path(String),
    /// There is no path: these of the excluded patterns, by their index in the query, match all
    /// candidates.
    None(BTreeSet<usize>),
    /// The budget was too small.
    Open,
}

/// Looks for a path that every pattern of `within` matches and none of `without` does.
pub(super) fn search(
    within: &[PatternTerm<'_>],
    without: &[PatternTerm<'_>],
    classes: &CharClasses,
    budget: &mut Budget,
) -> SearchResult {
    Search::of(within, without, classes, budget)
        .and_then(|search| search.run(budget))
        .unwrap_or(SearchResult::Open)
}

/// One pattern during a search: its nodes are numbered from `offset` on, so that a number
/// identifies one node of one pattern.
#[derive(Debug)]
struct Runner<'p> {
    part: PatternTerm<'p>,
    offset: u32,
}

/// A state: the word class of the last character, then the nodes to continue from, sorted.
type SearchState = Box<[u32]>;

/// The word class before the first character.
const AT_START: u32 = u32::MAX;

struct Search<'p> {
    /// Those of `within`, then those of `without`.
    runners: Vec<Runner<'p>>,
    within: usize,
    alphabet: Alphabet,
    /// The word class of each letter; all the same if no pattern has word assertions.
    words: Vec<InWord>,
    /// When each node was last reached, to reach it once per closure.
    stamps: Vec<u32>,
    stamp: u32,
    /// The excluded patterns that ruled out a candidate.
    taken_by: BTreeSet<usize>,
}

/// What can be reached from a state without reading a character.
#[derive(Debug, Default)]
struct Reached {
    /// Class, following node, and runner.
    takes: Vec<(u32, u32, usize)>,
    /// The runners that have matched.
    matched: BTreeSet<usize>,
}

impl<'p> Search<'p> {
    fn of(
        within: &[PatternTerm<'p>],
        without: &[PatternTerm<'p>],
        classes: &CharClasses,
        budget: &mut Budget,
    ) -> Option<Self> {
        let parts = || within.iter().chain(without);
        let ids: BTreeSet<u32> = parts().flat_map(|part| &part.program.classes).copied().collect();
        let alphabet = Alphabet::of(&ids, classes, budget)?;
        let asks_for_words = parts().any(|part| part.program.asks_for_words);
        let in_word = |c: &char| if asks_for_words { InWord::of(*c) } else { InWord::default() };
        let words = alphabet.letters().iter().map(in_word).collect();
        let mut runners = Vec::with_capacity(within.len() + without.len());
        let mut nodes = 0;
        for part in parts() {
            runners.push(Runner { part: *part, offset: u32::try_from(nodes).ok()? });
            nodes += part.program.nodes.len();
        }
        budget.spend(u64::try_from(nodes / 8).ok()?)?;
        let stamps = vec![0; nodes];
        let taken_by = BTreeSet::new();
        Some(Self { runners, within: within.len(), alphabet, words, stamps, stamp: 0, taken_by })
    }

    fn run(mut self, budget: &mut Budget) -> Option<SearchResult> {
        let first: SearchState = std::iter::once(AT_START)
            .chain(self.runners.iter().map(|runner| runner.offset + runner.part.program.start))
            .collect();
        if self.is_solution(&first, budget)? {
            return Some(SearchResult::Path(String::new()));
        }
        // Each state with its predecessor and the letter between them.
        let mut states: Vec<(SearchState, usize, usize)> = vec![(first.clone(), 0, 0)];
        let mut seen: HashSet<SearchState> = HashSet::from([first]);
        let mut at = 0;
        while let Some((state, ..)) = states.get(at) {
            let state = state.clone();
            for (letter, next) in self.steps(&state, budget)? {
                if !seen.insert(next.clone()) {
                    continue;
                }
                let is_solution = self.is_solution(&next, budget)?;
                states.push((next, at, letter));
                if is_solution {
                    return Some(SearchResult::Path(self.path(&states)));
                }
                if states.len() > STATES_MAX {
                    return None;
                }
            }
            at += 1;
        }
        Some(SearchResult::None(self.taken_by))
    }

    /// The letters that lead to the last state.
    fn path(&self, states: &[(SearchState, usize, usize)]) -> String {
        let mut letters: Vec<char> = Vec::new();
        let mut at = states.len().saturating_sub(1);
        while at > 0 {
            let Some((_, before, letter)) = states.get(at) else { break };
            letters.extend(self.alphabet.letters().get(*letter));
            at = *before;
        }
        letters.iter().rev().collect()
    }

    /// Whether a path that ends in this state is a solution.
    fn is_solution(&mut self, state: &SearchState, budget: &mut Budget) -> Option<bool> {
        let matched = self.reach(state, None, budget)?.matched;
        if !(0..self.within).all(|runner| matched.contains(&runner)) {
            return Some(false);
        }
        let taker = matched.range(self.within..).next();
        self.taken_by.extend(taker.map(|runner| runner - self.within));
        Some(taker.is_none())
    }

    /// Every state that one more letter can lead to, with the letter.
    fn steps(
        &mut self,
        state: &SearchState,
        budget: &mut Budget,
    ) -> Option<Vec<(usize, SearchState)>> {
        let mut steps = Vec::new();
        let mut kinds: Vec<InWord> = Vec::new();
        for word in &self.words {
            if !kinds.contains(word) {
                kinds.push(*word);
            }
        }
        for kind in kinds {
            let reached = self.reach(state, Some(kind), budget)?;
            if let Some(taker) = self.taker(&reached) {
                // Every continuation belongs to that pattern.
                self.taken_by.insert(taker);
                continue;
            }
            let wanted = self.wanted(&reached);
            for (letter, word) in self.words.iter().enumerate() {
                if *word != kind || !wanted.has(letter) {
                    continue;
                }
                budget.spend(u64::try_from(reached.takes.len()).ok()? + CALL_STEPS)?;
                steps.push((letter, self.step(&reached, letter, kind)));
            }
        }
        // The order of letters must not change which path is found first.
        steps.sort_by_key(|(letter, _)| *letter);
        Some(steps)
    }

    /// An excluded pattern, open at its end, that has matched.
    fn taker(&self, reached: &Reached) -> Option<usize> {
        let mut matched = reached.matched.range(self.within..);
        matched.find(|runner| self.is_open(**runner)).map(|runner| runner - self.within)
    }

    fn is_open(&self, runner: usize) -> bool {
        self.runners.get(runner).is_some_and(|runner| runner.part.end == MatchEnd::Open)
    }

    /// The letters with which every wanted pattern can continue.
    fn wanted(&self, reached: &Reached) -> Letters {
        let mut wanted = Letters::first(self.words.len());
        for runner in 0..self.within {
            if reached.matched.contains(&runner) && self.is_open(runner) {
                continue;
            }
            let mut letters = Letters::first(0);
            for (class, _, _) in reached.takes.iter().filter(|(_, _, of)| *of == runner) {
                self.alphabet.class(*class).into_iter().for_each(|class| letters.add(class));
            }
            wanted.keep(&letters);
        }
        wanted
    }

    fn step(&self, reached: &Reached, letter: usize, word: InWord) -> SearchState {
        let is_done = |runner: &usize| *runner < self.within && self.is_open(*runner);
        let done: BTreeSet<usize> = reached.matched.iter().copied().filter(is_done).collect();
        // A wanted pattern that has matched stays matched; further matches of it do not matter.
        let stays = done.iter().filter_map(|runner| Some(self.runners.get(*runner)?.offset));
        let takes = reached.takes.iter().filter(|(class, _, runner)| {
            !done.contains(runner) && self.alphabet.class(*class).is_some_and(|c| c.has(letter))
        });
        let mut nodes: Vec<u32> = stays.chain(takes.map(|(_, next, _)| *next)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        std::iter::once(word.code()).chain(nodes).collect()
    }

    /// Follows everything that reads no character. `after` is the next character.
    fn reach(
        &mut self,
        state: &SearchState,
        after: Option<InWord>,
        budget: &mut Budget,
    ) -> Option<Reached> {
        let (before, nodes) = state.split_first()?;
        let at_start = *before == AT_START;
        let before = if at_start { InWord::default() } else { InWord::of_code(*before) };
        let place = CharBoundary { at_start, before, after };
        self.stamp += 1;
        let mut reached = Reached::default();
        let mut open: Vec<u32> = nodes.to_vec();
        let mut visits = 0;
        while let Some(number) = open.pop() {
            let stamp = self.stamps.get_mut(usize::try_from(number).ok()?)?;
            if *stamp == self.stamp {
                continue;
            }
            *stamp = self.stamp;
            visits += 1;
            let index = self.runners.partition_point(|runner| runner.offset <= number) - 1;
            let Runner { part, offset } = self.runners.get(index)?;
            match *part.program.nodes.get(usize::try_from(number - offset).ok()?)? {
                Node::Take { class, next } => reached.takes.push((class, next + offset, index)),
                Node::Fork(one, other) => open.extend([one + offset, other + offset]),
                Node::Look(look, next) if place.holds(look) => open.push(next + offset),
                Node::Look(..) => {}
                Node::Matched => {
                    reached.matched.insert(index);
                }
            }
        }
        budget.spend(visits + CALL_STEPS)?;
        Some(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: u64 = 1_000_000;

    /// Looks for a path that matches the first pattern and none of the others, all open.
    fn ask(within: &str, without: &[&str], steps: u64) -> SearchResult {
        let mut classes = CharClasses::default();
        let mut compile = |text: &str| Program::of(text, &mut classes).unwrap();
        let within = compile(within);
        let without: Vec<Program> = without.iter().map(|text| compile(text)).collect();
        let open = |program| PatternTerm { program, end: MatchEnd::Open };
        let without: Vec<PatternTerm<'_>> = without.iter().map(open).collect();
        search(&[open(&within)], &without, &classes, &mut Budget::of(steps))
    }

    fn path(text: &str) -> SearchResult {
        SearchResult::Path(text.to_owned())
    }

    #[test]
    fn the_shortest_path_is_found_and_reads_well() {
        assert_eq!(ask("/a+$", &[], PLENTY), path("/a"));
        assert_eq!(ask("/[^/]", &["/[a-z]"], PLENTY), path("/0"));
        assert_eq!(ask("/x", &["/x$"], PLENTY), path("/xa"));
        assert_eq!(
            ask(r"/\w{3}|/é$".replace(r"\\", r"\").as_str(), &["/[a-z]"], PLENTY),
            path("/é")
        );
    }

    #[test]
    fn a_proof_names_who_takes_the_paths() {
        assert_eq!(ask("/ab", &["/x", "/a"], PLENTY), SearchResult::None([1].into()));
        assert_eq!(ask("/[ab]$", &["/a", "/c", "/b$"], PLENTY), SearchResult::None([0, 2].into()));
        assert_eq!(ask("/a$b", &["/x"], PLENTY), SearchResult::None([].into()));
        assert_eq!(ask("(?i)/docs", &["/[Dd]"], PLENTY), SearchResult::None([0].into()));
    }

    #[test]
    fn a_closed_pattern_matches_whole_paths_only() {
        let mut classes = CharClasses::default();
        let program = Program::of("/a", &mut classes).unwrap();
        let part = |end| PatternTerm { program: &program, end };
        let ask = |within, without| {
            search(&[part(within)], &[part(without)], &classes, &mut Budget::of(PLENTY))
        };
        assert_eq!(ask(MatchEnd::Open, MatchEnd::Closed), path("/aa"));
        assert_eq!(ask(MatchEnd::Closed, MatchEnd::Open), SearchResult::None([0].into()));
    }

    #[test]
    fn a_path_can_be_asked_to_match_two_patterns() {
        let mut classes = CharClasses::default();
        let mut compile = |text| Program::of(text, &mut classes).unwrap();
        let (one, other) = (compile("/[ab]+"), compile("/.*x$"));
        let parts = [&one, &other].map(|program| PatternTerm { program, end: MatchEnd::Open });
        let answer = search(&parts, &[], &classes, &mut Budget::of(PLENTY));
        assert_eq!(answer, path("/ax"));
    }

    #[test]
    fn the_boundaries_of_words_are_seen() {
        assert_eq!(
            ask(r"/a\bb".replace(r"\\", r"\").as_str(), &[], PLENTY),
            SearchResult::None([].into())
        );
        assert_eq!(ask(r"/a\b", &[r"/a$", r"/a/"], PLENTY), path("/a-"));
        assert_eq!(ask(r"/a\b.$", &[r"/a[^\w]"], PLENTY), SearchResult::None([0].into()));
        assert_eq!(ask(r"/a(?-u:\b).$", &[r"/a[^\w]"], PLENTY), path("/aª"));
    }

    #[test]
    fn a_question_that_costs_too_much_stays_open() {
        assert_eq!(ask("/a", &[], 3), SearchResult::Open);
        // The classic case of exponential growth: which of the last twenty letters was an a?
        assert_eq!(ask("/.*a.{20}$", &["/.*b.{20}$", "/.*a.*"], PLENTY), SearchResult::Open);
    }
}
