//! The alphabet of one query: characters that none of its patterns distinguishes are one letter.

use std::collections::BTreeSet;
use std::collections::HashMap;

use super::program::CharClasses;
use super::search::Budget;

/// Characters in the order in which they are chosen to represent their letter, so that a path that
/// is found is readable.
const SHOWN: &str =
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.~/+,;:=@!$&'()* ";

/// A partition of all characters. Letters are numbered from 0, readable ones first.
#[derive(Debug)]
pub(super) struct Alphabet {
    /// The representative of each letter.
    letters: Vec<char>,
    /// The letters of each class.
    members: HashMap<u32, Letters>,
}

/// A set of letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letters(Vec<u64>);

impl Letters {
    /// The letters below `count`.
    pub(super) fn first(count: usize) -> Self {
        let word = |at: usize| match count - at * 64 {
            64.. => u64::MAX,
            rest => (1 << rest) - 1,
        };
        Self((0..count.div_ceil(64)).map(word).collect())
    }

    pub(super) fn has(&self, letter: usize) -> bool {
        self.0.get(letter / 64).is_some_and(|word| word >> (letter % 64) & 1 == 1)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (word, kept) in self.0.iter_mut().zip(&other.0) {
            *word &= kept;
        }
    }
}

impl Alphabet {
    /// The coarsest partition of which every class is a union; none if the budget is too small.
    pub(super) fn of(
        ids: &BTreeSet<u32>,
        classes: &CharClasses,
        budget: &mut Budget,
    ) -> Option<Self> {
        let bounds = bounds(ids, classes);
        budget.spend(cheap(bounds.len()))?;
        let parts = refine(&bounds, ids, classes, budget)?;
        let letters = representatives(&bounds, &parts);
        budget.spend(cheap(letters.len().saturating_mul(ids.len())))?;
        let of_class = |id: &u32| (*id, letters_in(&letters, classes.ranges(*id)));
        let members = ids.iter().map(of_class).collect();
        Some(Self { letters, members })
    }

    /// The representative of each letter.
    pub(super) fn letters(&self) -> &[char] {
        &self.letters
    }

    /// The letters of a class.
    pub(super) fn class(&self, id: u32) -> Option<&Letters> {
        self.members.get(&id)
    }
}

/// The cost of sequential work, of which many items cost one step of a search.
fn cheap(count: usize) -> u64 {
    u64::try_from(count / 8).unwrap_or(u64::MAX)
}

/// Where some class begins or has just ended: between two bounds no class changes.
fn bounds(ids: &BTreeSet<u32>, classes: &CharClasses) -> Vec<u32> {
    let ranges = ids.iter().flat_map(|id| classes.ranges(*id));
    let ends = ranges.flat_map(|(first, last)| [u32::from(*first), u32::from(*last) + 1]);
    let mut bounds: Vec<u32> = std::iter::once(0).chain(ends).collect();
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

/// The part that each range from one bound to the next belongs to: each class splits every part
/// into the characters inside and outside of it.
fn refine(
    bounds: &[u32],
    ids: &BTreeSet<u32>,
    classes: &CharClasses,
    budget: &mut Budget,
) -> Option<Vec<u32>> {
    let mut parts = vec![0; bounds.len()];
    let mut fresh = 0;
    for id in ids {
        let mut inside: HashMap<u32, u32> = HashMap::new();
        let mut work = 0;
        for (first, last) in classes.ranges(*id) {
            let from = bounds.partition_point(|bound| *bound < u32::from(*first));
            let to = bounds.partition_point(|bound| *bound <= u32::from(*last));
            work += 1 + to - from;
            for part in parts.get_mut(from..to).into_iter().flatten() {
                *part = *inside.entry(*part).or_insert_with(|| {
                    fresh += 1;
                    fresh
                });
            }
        }
        budget.spend(cheap(4 * work))?;
    }
    Some(parts)
}

/// One character of each part, the most readable first.
fn representatives(bounds: &[u32], parts: &[u32]) -> Vec<char> {
    let part_of = |c: char| {
        let at = bounds.partition_point(|bound| *bound <= u32::from(c)).checked_sub(1)?;
        parts.get(at)
    };
    // Surrogates are not characters: a range that begins among them has its first character right
    // after them.
    let first_of = |bound: &u32| match bound {
        0xD800..=0xDFFF => Some('\u{E000}'),
        bound => char::from_u32(*bound),
    };
    let mut seen = BTreeSet::new();
    let readable = SHOWN.chars();
    let all = readable.chain(bounds.iter().filter_map(first_of));
    all.filter(|c| part_of(*c).is_some_and(|part| seen.insert(*part))).collect()
}

fn letters_in(letters: &[char], ranges: &[(char, char)]) -> Letters {
    let mut words = vec![0_u64; letters.len().div_ceil(64)];
    for (at, c) in letters.iter().enumerate() {
        let before = ranges.partition_point(|(first, _)| first <= c);
        let range = before.checked_sub(1).and_then(|at| ranges.get(at));
        if range.is_some_and(|(_, last)| c <= last)
            && let Some(word) = words.get_mut(at / 64)
        {
            *word |= 1 << (at % 64);
        }
    }
    Letters(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[&[(char, char)]]) -> (Alphabet, Vec<u32>) {
        let mut classes = CharClasses::default();
        let ids: Vec<u32> = ranges.iter().map(|ranges| classes.id(ranges.to_vec())).collect();
        let plenty = &mut Budget::of(1_000);
        (Alphabet::of(&ids.iter().copied().collect(), &classes, plenty).unwrap(), ids)
    }

    #[test]
    fn characters_that_no_class_tells_apart_are_one_letter() {
        let (alphabet, ids) = of(&[&[('/', '/')], &[('a', 'z')], &[('m', 'p')]]);
        assert_eq!(alphabet.letters(), ['a', 'm', '0', '/']);
        let has = |id: u32| -> Vec<char> {
            let letters = alphabet.letters().iter().enumerate();
            let class = alphabet.class(id).unwrap();
            letters.filter(|(at, _)| class.has(*at)).map(|(_, c)| *c).collect()
        };
        assert_eq!(has(ids[0]), ['/']);
        assert_eq!(has(ids[1]), ['a', 'm']);
        assert_eq!(has(ids[2]), ['m']);
    }

    #[test]
    fn classes_around_the_surrogates_have_letters() {
        let (alphabet, ids) = of(&[&[('\u{D000}', '\u{D7FF}')], &[('\u{E000}', '\u{E005}')]]);
        assert_eq!(alphabet.letters(), ['a', '\u{D000}', '\u{E000}']);
        assert!(alphabet.class(ids[1]).unwrap().has(2));
        let (all, _) = of(&[&[('\0', char::MAX)]]);
        assert_eq!(all.letters(), ['a']);
    }
}
