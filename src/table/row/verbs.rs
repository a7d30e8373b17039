//! The verbs that a row matches.

use std::fmt;

use crate::base::text::nearest::nearest;

use crate::table::problem::Flaw;

/// The verbs of RFC 9110 §9 and RFC 5789, to distinguish a typing error from a custom verb.
const KNOWN: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
/// Verbs that are refused before any row is considered: they are for proxies, or echo secrets.
const NEVER_HANDED_ON: [&str; 2] = ["TRACE", "CONNECT"];

/// The verbs that a row matches: the names it lists, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbs(Option<Box<[Box<str>]>>);

impl Verbs {
    /// Every verb, whatever its name.
    pub const ALL: Self = Self(None);

    /// Parses `"GET, post"`; an empty text and `*` mean all. Warnings are returned with the verbs.
    pub(crate) fn parse(text: &str) -> Result<(Self, Vec<Flaw>), Flaw> {
        if text.trim().is_empty() {
            return Ok((Self::ALL, Vec::new()));
        }
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        if let Some(wrong) = names.iter().find(|name| !is_token(name)) {
            return Err(not_a_verb(wrong, text));
        }
        if names.contains(&"*") {
            let warnings = match names.len() {
                1 => Vec::new(),
                _ => vec![Flaw::new(
                    "all-verbs-mixed",
                    format!("verbs {text:?} name \"*\" beside others, so all verbs are answered"),
                    "write \"*\" alone, or leave it out",
                )],
            };
            return Ok((Self::ALL, warnings));
        }
        let mut listed: Vec<Box<str>> = Vec::with_capacity(names.len());
        for name in names {
            let name = name.to_ascii_uppercase();
            if !listed.iter().any(|known| **known == *name) {
                listed.push(name.into());
            }
        }
        let warnings = listed.iter().filter_map(|name| slip(name)).collect();
        Ok((Self(Some(listed.into())), warnings))
    }

    /// Whether a request with this verb matches; case is ignored.
    pub fn allows(&self, verb: &str) -> bool {
        let Some(names) = &self.0 else { return true };
        names.iter().any(|name| name.eq_ignore_ascii_case(verb))
    }

    /// Whether all verbs match.
    pub const fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The listed names in upper case and in their order; none if all verbs match.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(|name| &**name)
    }
}

/// `GET, POST`, or `*` for all.
impl fmt::Display for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("*");
        }
        write_list(f, self.names())
    }
}

/// The verbs of the rows that match a path, for the header `Allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow<'t>(Vec<&'t str>);

impl<'t> Allow<'t> {
    /// The union, in the order of the table and without duplicates.
    pub(crate) fn union(verbs: impl Iterator<Item = &'t Verbs>) -> Self {
        let mut names: Vec<&'t str> = Vec::new();
        for name in verbs.flat_map(Verbs::names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self(names)
    }

    /// The names, upper case.
    pub fn iter(&self) -> impl Iterator<Item = &'t str> {
        self.0.iter().copied()
    }
}

/// The value of the header, such as `GET, POST`.
impl fmt::Display for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.iter())
    }
}

fn write_list<'n>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'n str>) -> fmt::Result {
    for (index, name) in names.enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{name}")?;
    }
    Ok(())
}

/// Whether callgate implements the method of a request at all; otherwise the response is 501, and
/// no row is considered. Method names are case-sensitive (RFC 9110 §9.1), and those of rows stand
/// for the upper-case ones.
pub fn is_implemented(method: &str) -> bool {
    !method.bytes().any(|byte| byte.is_ascii_lowercase()) && !NEVER_HANDED_ON.contains(&method)
}

/// Whether the name is a valid HTTP method (RFC 9110 §5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(tchar)
}

fn not_a_verb(wrong: &str, text: &str) -> Flaw {
    if wrong.is_empty() {
        return Flaw::new(
            "bad-verb",
            format!("verbs {text:?} have an empty name"),
            "remove the comma that nothing follows, or name the verb",
        );
    }
    Flaw::new(
        "bad-verb",
        format!("{wrong:?} cannot be a verb"),
        "separate verbs with commas, such as \"GET, POST\"",
    )
}

fn slip(name: &str) -> Option<Flaw> {
    if NEVER_HANDED_ON.contains(&name) {
        return Some(Flaw::new(
            "refused-verb",
            format!("verb {name:?} never reaches a row, because callgate refuses it"),
            "remove it",
        ));
    }
    if KNOWN.contains(&name) {
        return None;
    }
    let known = nearest(name, KNOWN)?;
    Some(Flaw::new(
        "unknown-verb",
        format!("unknown verb {name:?}"),
        format!("write {known:?} if that is meant; other names work as they are"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbs(text: &str) -> Verbs {
        Verbs::parse(text).unwrap().0
    }

    #[test]
    fn nothing_blanks_and_a_star_mean_all() {
        for text in ["", "  ", "*", " * "] {
            assert!(verbs(text).is_all(), "{text:?}");
            assert!(verbs(text).allows("ANYTHING"));
            assert_eq!(verbs(text).to_string(), "*");
        }
    }

    #[test]
    fn case_spaces_and_repeats_do_not_count() {
        let verbs = verbs("get ,POST,  Get");
        assert_eq!(verbs.to_string(), "GET, POST");
        assert!(verbs.allows("GET") && verbs.allows("post"));
        assert!(!verbs.allows("HEAD") && !verbs.allows("GE") && !verbs.allows(""));
    }

    #[test]
    fn names_are_tokens_of_http() {
        for text in ["GET,", ",", "GET,,POST", "GET POST", "GET;POST", "GÉT", "a/b"] {
            assert_eq!(Verbs::parse(text).unwrap_err().code, "bad-verb", "{text:?}");
        }
        assert!(verbs("FOO, M-SEARCH").allows("M-SEARCH"));
    }

    #[test]
    fn a_slip_is_warned_about_and_an_unknown_name_is_not() {
        let codes = |text| Verbs::parse(text).unwrap().1.iter().map(|w| w.code).collect::<Vec<_>>();
        assert_eq!(codes("GTE, PSOT"), ["unknown-verb", "unknown-verb"]);
        assert_eq!(codes("FOO, PROPFIND"), [""; 0]);
        assert_eq!(codes("GET, *"), ["all-verbs-mixed"]);
        assert_eq!(codes("get, trace"), ["refused-verb"]);
    }

    #[test]
    fn allow_is_the_union_in_table_order() {
        let rows = [verbs("POST,GET"), verbs("get, put")];
        assert_eq!(Allow::union(rows.iter()).to_string(), "POST, GET, PUT");
        assert_eq!(Allow::union(rows.iter()).iter().count(), 3);
    }
}
