//! Spelling suggestions: the known name that a misspelt one probably means.

/// The name of `known` that is nearest to `name`, ignoring case, by edit distance. A name of which
/// half would have to change is not a misspelling.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const SLIPS_MAX: usize = 3;
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), known))
        .filter(|(slips, known)| *slips <= SLIPS_MAX && slips * 2 < known.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood_and_another_word_is_not() {
        let near = |name| nearest(name, ["GET", "POST", "verbs", "public_origin"]);
        assert_eq!(near("PSOT"), Some("POST"));
        assert_eq!(near("gett"), Some("GET"));
        assert_eq!(near("verb"), Some("verbs"));
        assert_eq!(near("publicorigins"), Some("public_origin"));
        assert_eq!((near("FOO"), near(""), near("private")), (None, None, None));
    }
}
