//! A pattern as an automaton that reads a path character by character.
//!
//! The expressions that the engine matches with are compiled for speed, over bytes. To reason about
//! all paths, characters that no pattern distinguishes must be one letter, which is what
//! [`CharClasses`] is for: `\w` is one class here, and hundreds of states there. Both begin with the
//! same parse, and whether a match exists does not depend on greed or order.

use std::collections::HashMap;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Class;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;
use regex_syntax::hir::Look;
use regex_syntax::hir::Repetition;

use crate::base::limits::PATTERN_NEST_MAX;

/// Most nodes of one program. An expression that the engine accepts has fewer unless it consists of
/// nothing but counted repetitions.
const NODES_MAX: usize = 8_192;
/// Most characters of a class that are compared to find out whether it is one letter in two cases.
const CASES_MAX: usize = 4;

/// One step of a program; numbers are indexes into [`Program::nodes`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    /// Reads one character of the class and goes on.
    Take { class: u32, next: u32 },
    /// Continues at both.
    Fork(u32, u32),
    /// Continues if this holds between the character before and the one after.
    Look(Look, u32),
    /// The pattern has matched.
    Matched,
}

/// A compiled pattern. It is anchored at the start; whether it must also reach the end is decided
/// by the search.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) start: u32,
    /// The classes in use, each once.
    pub(super) classes: Vec<u32>,
    /// Whether it has assertions about word boundaries.
    pub(super) asks_for_words: bool,
    /// The case-folded text with which every match begins; see [`Program::may_meet`].
    begins: String,
}

/// The character classes of all programs, each once, as sorted ranges.
#[derive(Debug, Default)]
pub(super) struct CharClasses {
    ids: HashMap<Box<[(char, char)]>, u32>,
    ranges: Vec<Box<[(char, char)]>>,
}

impl CharClasses {
    pub(super) fn ranges(&self, class: u32) -> &[(char, char)] {
        usize::try_from(class).ok().and_then(|at| self.ranges.get(at)).map_or(&[], |ranges| ranges)
    }

    pub(super) fn id(&mut self, ranges: Vec<(char, char)>) -> u32 {
        let next = u32::try_from(self.ranges.len()).unwrap_or(u32::MAX);
        let ranges: Box<[(char, char)]> = ranges.into();
        *self.ids.entry(ranges).or_insert_with_key(|ranges| {
            self.ranges.push(ranges.clone());
            next
        })
    }
}

impl Program {
    /// Compiles an expression that the engine has accepted; none if it is too large to analyze.
    pub(super) fn of(expression: &str, classes: &mut CharClasses) -> Option<Self> {
        // As in `expression`: the wrapping into `\A(?:…)` must not count against the author's
        // nesting.
        let mut parser = ParserBuilder::new().nest_limit(PATTERN_NEST_MAX + 2).build();
        let hir = parser.parse(expression).ok()?;
        let mut draft = ProgramBuilder { nodes: vec![Node::Matched], classes };
        let start = draft.add(&hir, 0)?;
        let nodes = draft.nodes;
        let taken = nodes.iter().filter_map(|node| match node {
            Node::Take { class, .. } => Some(*class),
            _ => None,
        });
        let mut used: Vec<u32> = taken.collect();
        let asks_for_words = hir.properties().look_set().contains_word();
        if asks_for_words {
            // No letter may mix word characters with others.
            used.extend(word_classes(classes)?);
        }
        used.sort_unstable();
        used.dedup();
        let mut begins = String::new();
        beginning(&hir, &mut begins);
        Some(Self { nodes, start, classes: used, asks_for_words, begins })
    }

    /// Whether some path may match both. False only where that is certain.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        self.begins.starts_with(&other.begins) || other.begins.starts_with(&self.begins)
    }
}

/// A program under construction. It is built from its end: each part takes the node that follows
/// it.
struct ProgramBuilder<'c> {
    nodes: Vec<Node>,
    classes: &'c mut CharClasses,
}

impl ProgramBuilder<'_> {
    fn push(&mut self, node: Node) -> Option<u32> {
        if self.nodes.len() >= NODES_MAX {
            return None;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).ok()
    }

    /// Adds nodes that match `hir` and then continue at `next`; returns the first of them.
    ///
    /// The recursion is as deep as groups are nested, which the parser limits.
    fn add(&mut self, hir: &Hir, next: u32) -> Option<u32> {
        match hir.kind() {
            HirKind::Empty => Some(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                text.chars().rev().try_fold(next, |next, c| self.take(vec![(c, c)], next))
            }
            HirKind::Class(class) => {
                let ranges = ranges(class)?;
                self.take(ranges, next)
            }
            HirKind::Look(look) => self.push(Node::Look(*look, next)),
            HirKind::Repetition(repetition) => self.repeat(repetition, next),
            HirKind::Capture(group) => self.add(&group.sub, next),
            HirKind::Concat(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.add(part, next))
            }
            HirKind::Alternation(branches) => {
                let mut entry = None;
                for branch in branches.iter().rev() {
                    let branch = self.add(branch, next)?;
                    entry = Some(match entry {
                        None => branch,
                        Some(others) => self.push(Node::Fork(branch, others))?,
                    });
                }
                entry
            }
        }
    }

    fn take(&mut self, ranges: Vec<(char, char)>, next: u32) -> Option<u32> {
        let class = self.classes.id(ranges);
        self.push(Node::Take { class, next })
    }

    fn repeat(&mut self, repetition: &Repetition, next: u32) -> Option<u32> {
        let Repetition { min, max, sub, .. } = repetition;
        let mut entry = if let Some(max) = max {
            // x{0,2} is (x(x)?)?: every copy may be the last.
            (*min..*max).try_fold(next, |entry, _| {
                let copy = self.add(sub, entry)?;
                self.push(Node::Fork(copy, next))
            })?
        } else {
            let turn = self.push(Node::Fork(next, next))?;
            let copy = self.add(sub, turn)?;
            let place = usize::try_from(turn).ok()?;
            *self.nodes.get_mut(place)? = Node::Fork(copy, next);
            turn
        };
        for _ in 0..*min {
            entry = self.add(sub, entry)?;
        }
        Some(entry)
    }
}

/// The word characters, by the rules of Unicode and by those of ASCII.
fn word_classes(classes: &mut CharClasses) -> Option<[u32; 2]> {
    let mut class = |text| match regex_syntax::parse(text).ok()?.kind() {
        HirKind::Class(class) => Some(classes.id(ranges(class)?)),
        _ => None,
    };
    Some([class(r"\w")?, class(r"(?-u:\w)")?])
}

/// The characters of a class; none if it has bytes beyond ASCII, which an expression over text
/// cannot have.
fn ranges(class: &Class) -> Option<Vec<(char, char)>> {
    match class {
        Class::Unicode(class) => Some(class.iter().map(|r| (r.start(), r.end())).collect()),
        Class::Bytes(class) => {
            let ascii = class.is_ascii();
            let range = |r: &regex_syntax::hir::ClassBytesRange| {
                (char::from(r.start()), char::from(r.end()))
            };
            ascii.then(|| class.iter().map(range).collect())
        }
    }
}

/// Appends the case-folded text with which every match of `hir` begins. Returns whether that is the
/// whole of every match, so that more may follow.
fn beginning(hir: &Hir, begins: &mut String) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            begins.extend(String::from_utf8_lossy(&literal.0).chars().map(fold));
            true
        }
        HirKind::Class(class) => {
            let only = one_letter(class);
            begins.extend(only);
            only.is_some()
        }
        HirKind::Capture(group) => beginning(&group.sub, begins),
        HirKind::Concat(parts) => parts.iter().all(|part| beginning(part, begins)),
        HirKind::Repetition(repetition) => {
            if repetition.min > 0 {
                beginning(&repetition.sub, begins);
            }
            false
        }
        HirKind::Alternation(branches) => {
            begins.push_str(&common(branches));
            false
        }
    }
}

fn common(branches: &[Hir]) -> String {
    let each = branches.iter().map(|branch| {
        let mut begins = String::new();
        beginning(branch, &mut begins);
        begins
    });
    let shared = |one: String, other: String| {
        one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    };
    each.reduce(shared).unwrap_or_default()
}

/// The letter that a class such as `[aA]` stands for.
fn one_letter(class: &Class) -> Option<char> {
    let chars: Vec<char> = ranges(class)?
        .into_iter()
        .flat_map(|(first, last)| first..=last)
        .take(CASES_MAX + 1)
        .map(fold)
        .collect();
    let first = *chars.first()?;
    (chars.len() <= CASES_MAX && chars.iter().all(|c| *c == first)).then_some(first)
}

/// One letter for all its cases. Any function would be sound, since both sides of a comparison are
/// folded alike; this one makes `(?i)` expressions comparable.
fn fold(c: char) -> char {
    match c {
        'ſ' => 's',
        c => {
            let mut lower = c.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(expression: &str) -> String {
        Program::of(expression, &mut CharClasses::default()).unwrap().begins
    }

    #[test]
    fn the_beginning_ends_where_matches_differ() {
        for (expression, expected) in [
            ("/docs/(a|b)", "/docs/"),
            ("^/Docs/?$", "/docs"),
            ("(?i)/docs", "/docs"),
            ("/ab+c", "/ab"),
            ("/(one|ones)", "/one"),
            ("/a|/b", "/"),
            (".*", ""),
            ("/[ab]c", "/"),
            (r"\A(/x){2}y", "/x"),
        ] {
            assert_eq!(begins(expression), expected, "{expression}");
        }
    }

    #[test]
    fn patterns_that_begin_otherwise_never_meet() {
        let mut classes = CharClasses::default();
        let mut program = |text| Program::of(text, &mut classes).unwrap();
        let (docs, doc, other) = (program("/docs"), program("(?i)/DOC"), program("/dot"));
        assert!(docs.may_meet(&doc) && doc.may_meet(&docs));
        assert!(!docs.may_meet(&other) && !other.may_meet(&doc));
    }

    #[test]
    fn a_class_is_kept_once() {
        let mut classes = CharClasses::default();
        let program = Program::of(r"/\w+/\w+/[0-9A-Za-z]", &mut classes).unwrap();
        assert_eq!(program.classes.len(), 3, "the slash, \\w, and the letters and digits");
    }

    #[test]
    fn what_is_too_large_is_not_compiled() {
        let huge = Program::of("(?:a{100}){100}", &mut CharClasses::default());
        assert!(huge.is_none());
    }
}
