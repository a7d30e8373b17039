//! The paths that never reach a row, as expressions, so that they take part in a proof like rows
//! before all others.

use crate::table::path::Reserved;

/// Paths that are refused or rewritten before matching, by the rules of
/// [`CanonicalPath`](crate::table::CanonicalPath). It includes texts that are not whole paths.
pub(super) const NOT_CANONICAL: &str = r"(?s)\z|[^/]|.*(?://|[\\\p{Cc}]|/\.\.?(?:[;/]|\z))";

/// Paths that callgate handles itself.
pub(super) fn reserved() -> String {
    let names = Reserved::ALL.map(|part| regex::escape(part.as_str()));
    // The case of ASCII letters is ignored, that of others is not: /re\u{17f}t is free.
    format!(r"(?i-u)(?:{})(?:/|\z)", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::BasePath;
    use crate::table::CanonicalPath;
    use regex::Regex;

    /// Every text over the alphabet up to a length.
    fn texts(alphabet: &[&str], length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            let longer =
                last.iter().flat_map(|text| alphabet.iter().map(move |c| text.clone() + c));
            last = longer.collect();
            all.extend(last.clone());
        }
        all
    }

    fn encoded(text: &str) -> String {
        let byte = |b: u8| match b {
            b'/' => "/".to_owned(),
            b => format!("%{b:02X}"),
        };
        text.bytes().map(byte).collect()
    }

    #[test]
    fn what_is_not_canonical_is_known_to_the_expression() {
        let unroutable = Regex::new(&format!(r"\A(?:{NOT_CANONICAL})")).unwrap();
        let alphabet = ["/", ".", ";", "\\", "a", "\u{85}", "é"];
        let (mut canonical, mut refused) = (0, 0);
        for text in texts(&alphabet, 5) {
            let read = CanonicalPath::of(&encoded(&text), &BasePath::none());
            let is_itself = read.is_ok_and(|path| path.as_str() == text);
            assert_eq!(!unroutable.is_match(&text), is_itself, "{text:?}");
            *if is_itself { &mut canonical } else { &mut refused } += 1;
        }
        assert!(canonical > 300 && refused > 10_000, "{canonical} {refused}");
    }

    #[test]
    fn what_is_reserved_is_known_to_the_expression() {
        let unroutable = Regex::new(&format!(r"\A(?:{})", reserved())).unwrap();
        for part in Reserved::ALL {
            let name = part.as_str();
            for end in ["", "/", "/x", "x", ".", "ſ"] {
                for text in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                    let text = format!("{text}{end}");
                    assert_eq!(unroutable.is_match(&text), Reserved::of(&text).is_some(), "{text}");
                }
            }
        }
        for text in ["/reſt", "/", "/x/rest", "/res", "/$lib", "/$lib/x", "rest"] {
            assert!(!unroutable.is_match(text) && Reserved::of(text).is_none(), "{text}");
        }
    }
}
