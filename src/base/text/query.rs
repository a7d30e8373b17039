//! The query of a request: its parameters as the handler sees them.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::base::limits::QUERY_NAME_BYTES_MAX;
use crate::base::limits::QUERY_PARAMS_MAX;

/// Decoded parameters in their order.
#[derive(Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// The query exceeds the limits on parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueryTooLarge;

impl Query {
    /// Reads a raw query, without its `?`.
    ///
    /// Names and values are percent-decoded once; `+` stays `+`; one pair of single quotes
    /// around a value is removed; a name without `=` has an empty value
    /// (developer.4d.com/docs/API/IncomingMessageClass, `urlQuery`).
    pub(crate) fn read(raw: &str) -> Result<Self, QueryTooLarge> {
        let mut pairs = Vec::new();
        for (name, value) in raw_pairs(raw) {
            if pairs.len() == QUERY_PARAMS_MAX || name.len() > QUERY_NAME_BYTES_MAX {
                return Err(QueryTooLarge);
            }
            pairs.push((decoded(name), unquoted(&decoded(value)).to_owned()));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter; of a repeated one, the last.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every parameter in order, including repeated ones.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The parameters of a query as the URL Standard parses them (§5.1): percent-decoded as UTF-8, `+`
/// is a blank, a name without `=` has an empty value, in order.
#[derive(Clone, Default)]
pub struct QueryPairs(Vec<(String, String)>);

impl QueryPairs {
    /// Reads a raw query, without its `?`.
    pub(crate) fn read(raw: &str) -> Self {
        Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a parameter, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Every parameter, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Prints the names only: a value may be a token.
impl fmt::Debug for QueryPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Prints the names only: a value may be a token.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether a raw query has a parameter of exactly this name.
pub(crate) fn has(raw: &str, name: &str) -> bool {
    raw_pairs(raw).any(|(written, _)| written == name)
}

/// Whether a redirection to this text stays on this site: a path that browsers read as one. `//host`
/// and, in browsers, `/\host` lead to another one.
pub(crate) fn stays_on_this_site(path: &str) -> bool {
    let printable = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    path.starts_with('/') && !path.starts_with("//") && printable
}

fn raw_pairs(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_as_the_model_says() {
        let query = Query::read("a=1&b=x+y&c&d='[1,2]'&a=2&e=%60%C3%A9&f='").unwrap();
        let find = |name| query.find(name).unwrap();
        assert_eq!((find("a"), find("b"), find("c")), ("2", "x+y", ""));
        assert_eq!((find("d"), find("e"), find("f")), ("[1,2]", "`é", "'"));
        assert_eq!(query.find("g"), None);
        assert_eq!(query.pairs().len(), 7);
    }

    #[test]
    fn a_query_beyond_its_limits_is_refused() {
        let many = |n: usize| vec!["a=1"; n].join("&");
        assert!(Query::read(&many(QUERY_PARAMS_MAX)).is_ok());
        assert_eq!(Query::read(&many(QUERY_PARAMS_MAX + 1)).unwrap_err(), QueryTooLarge);
        assert!(Query::read(&"n".repeat(QUERY_NAME_BYTES_MAX + 1)).is_err());
        assert!(Query::read(&format!("n={}", "v".repeat(60_000))).is_ok(), "values have no limit");
    }
}
