//! The query of a request: its parameters as the handler sees them, and the token among them.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::base::limits::QUERY_NAME_BYTES_MAX;
use crate::base::limits::QUERY_PARAMS_MAX;
use crate::token::TokenSecret;

/// The reserved key that brings a token, as it may be written in a URL. Mailers rewrite `$` as
/// `%24`; any other spelling is some other key (contract §6.2).
const TOKEN_KEYS: [&str; 2] = ["$4DSID", "%244DSID"];

/// Decoded parameters in the order in which they came.
#[derive(Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// The query is larger than any honest caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTooLarge;

impl Query {
    /// Reads a raw query, without its `?`.
    ///
    /// Names and values are percent-decoded once; `+` stays `+`; one pair of single quotes
    /// around a value is removed; a name without `=` has an empty value (4D §2.1).
    pub fn read(raw: &str) -> Result<Self, QueryTooLarge> {
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

    /// Every parameter in the order in which they came, repeated ones too.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The parameters of a query as the URL Standard reads them (§5.1): percent-decoded as UTF-8, `+` a
/// blank, a name without `=` with an empty value, in the order in which they came.
#[derive(Clone, Default)]
pub struct QueryPairs(Vec<(String, String)>);

impl QueryPairs {
    /// Reads a raw query, without its `?`.
    pub fn read(raw: &str) -> Self {
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

/// The names only: a value may be a token.
impl fmt::Debug for QueryPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// The names only: a value may be a token.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether a raw query brings anything under the reserved key.
pub(crate) fn brings_token(raw: &str) -> bool {
    raw_pairs(raw).any(|(name, _)| TOKEN_KEYS.contains(&name))
}

/// Whether a text that is no query may hold one that brings something under the reserved key.
pub(crate) fn names_token(text: &str) -> bool {
    TOKEN_KEYS.iter().any(|key| text.contains(key))
}

/// What a request brings to be redeemed.
#[derive(Debug, Clone)]
pub(crate) enum Brought {
    /// Nothing.
    Nothing,
    /// Something under the reserved key that cannot be a token.
    Garbage,
    /// Something else under the row's own parameter, which may carry other things than tokens.
    Other,
    /// One token.
    Token(TokenSecret),
    /// Several values: nobody can say which one is meant, so none is touched.
    Several,
}

/// Looks for the token of a request: under the reserved key of the raw query, and under the
/// row's own parameter in the query or in a submitted form.
pub(crate) fn find_token(raw: &str, param: Option<&str>, form: Option<&str>) -> Brought {
    let reserved = raw_pairs(raw)
        .filter(|(name, _)| TOKEN_KEYS.contains(name))
        .map(|(_, value)| decoded(value));
    let own = param.into_iter().flat_map(|param| {
        let fields = raw_pairs(raw).chain(form.into_iter().flat_map(raw_pairs));
        fields.filter(move |(name, _)| decoded(name) == param).map(|(_, value)| decoded(value))
    });
    let reserved: Vec<String> = reserved.collect();
    let own: Vec<String> = own.filter(|value| !value.is_empty()).collect();
    // A row's own parameter may carry other things than tokens; the reserved key may not.
    let tokens = own.iter().filter(|value| TokenSecret::parse(value).is_some());
    match reserved.iter().chain(tokens).collect::<Vec<_>>().as_slice() {
        [] if own.is_empty() => Brought::Nothing,
        [] => Brought::Other,
        [one] => TokenSecret::parse(one).map_or(Brought::Garbage, Brought::Token),
        _ => Brought::Several,
    }
}

/// A raw query without the parameters under which a token came.
pub(crate) fn without_token(raw: &str, param: Option<&str>) -> String {
    let kept = raw.split('&').filter(|part| !brings(part, param));
    kept.collect::<Vec<_>>().join("&")
}

/// The one parameter of a raw query that brings the token.
pub(crate) struct TokenPart<'q> {
    /// Name and value, as they were written.
    pub(crate) text: &'q str,
    /// How many parts stand before it.
    pub(crate) place: usize,
    pub(crate) token: TokenSecret,
}

/// The parameter that brings the one token of a query; `None` if there is none.
pub(crate) fn token_part<'q>(raw: &'q str, param: Option<&str>) -> Option<TokenPart<'q>> {
    let (place, text) = raw.split('&').enumerate().find(|(_, part)| brings(part, param))?;
    Some(TokenPart { text, place, token: token_in(text)? })
}

/// The token of one parameter, name and value.
pub(crate) fn token_in(part: &str) -> Option<TokenSecret> {
    TokenSecret::parse(&decoded(part.split_once('=')?.1))
}

/// Whether a raw query has a parameter of this very name.
pub(crate) fn has(raw: &str, name: &str) -> bool {
    raw_pairs(raw).any(|(written, _)| written == name)
}

fn brings(part: &str, param: Option<&str>) -> bool {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    TOKEN_KEYS.contains(&name)
        || (param.is_some_and(|param| decoded(name) == param)
            && TokenSecret::parse(&decoded(value)).is_some())
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

    const TOKEN: &str = "2E5D0D57751D471DB29FD110D2DCE253";
    const OTHER: &str = "3E5D0D57751D471DB29FD110D2DCE253";

    fn kind(raw: &str, param: Option<&str>) -> &'static str {
        match find_token(raw, param, None) {
            Brought::Nothing => "nothing",
            Brought::Garbage => "garbage",
            Brought::Other => "other",
            Brought::Token(_) => "token",
            Brought::Several => "several",
        }
    }

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

    #[test]
    fn the_reserved_key_has_two_spellings_and_no_others() {
        for raw in [format!("$4DSID={TOKEN}"), format!("a=b&%244DSID={TOKEN}&c")] {
            assert_eq!(kind(&raw, None), "token", "{raw}");
            assert!(brings_token(&raw));
        }
        for key in ["$4dsid", "%25244DSID", "$4DSI%44", "x$4DSID", "$4DSID[]", "4DSID"] {
            assert_eq!(kind(&format!("{key}={TOKEN}"), None), "nothing", "{key}");
        }
    }

    #[test]
    fn several_values_are_several_even_when_they_are_equal() {
        for raw in [
            format!("$4DSID={TOKEN}&$4DSID={TOKEN}"),
            format!("$4DSID={TOKEN}&%244DSID={OTHER}"),
            format!("$4DSID={TOKEN}&state={OTHER}"),
            format!("state={TOKEN}&state={OTHER}"),
            format!("$4DSID={TOKEN}&$4DSID="),
        ] {
            assert_eq!(kind(&raw, Some("state")), "several", "{raw}");
        }
        assert_eq!(kind(&format!("$4DSID={TOKEN}&state=hello"), Some("state")), "token");
    }

    #[test]
    fn a_rows_own_parameter_brings_a_token_in_the_query_or_in_a_form() {
        let in_query = find_token(&format!("state={TOKEN}"), Some("state"), None);
        let in_form = find_token("", Some("state"), Some(&format!("code=1&state={TOKEN}")));
        let twice = find_token(&format!("state={TOKEN}"), Some("state"), Some("state=x"));
        assert!(matches!(in_query, Brought::Token(_)));
        assert!(matches!(in_form, Brought::Token(_)));
        assert!(matches!(twice, Brought::Token(_)));
        assert_eq!(kind("state=hello", Some("state")), "other");
        assert_eq!(kind("state=", Some("state")), "nothing");
        assert_eq!(kind("$4DSID=", None), "garbage");
        assert_eq!(kind("$4DSID=x&state=hello", Some("state")), "garbage");
        assert_eq!(kind(&format!("state={TOKEN}"), None), "nothing");
    }

    #[test]
    fn a_stripped_query_keeps_everything_else_as_it_was() {
        let raw = format!("a=%20b&%244DSID={TOKEN}&state={OTHER}&c");
        assert_eq!(without_token(&raw, Some("state")), "a=%20b&c");
        assert_eq!(without_token(&raw, None), format!("a=%20b&state={OTHER}&c"));
        assert_eq!(without_token(&format!("$4DSID={TOKEN}"), None), "");
    }
}
