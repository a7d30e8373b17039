//! Reading a token from what mail programs, gateways and people make of a link.
//!
//! A link is wrapped, quoted, escaped, put in brackets and followed by a full stop on its way. None
//! of that changes which token was meant: it has 32 hex digits. What is understood is written down
//! as data in `tests/it/links`, with the source of each case, beside what must not be.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::token::TokenSecret;

/// The reserved key that brings a token.
pub(crate) const TOKEN_KEY: &str = "$4DSID";
/// Digits of a token.
const DIGITS: usize = 32;
/// How `=` is written where quoted-printable was not undone (RFC 2045 §6.7): `=3D`.
const QUOTED_EQUALS: &str = "3d";

/// One parameter of a query, and what separates it from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'q> {
    /// `&`, or the second `?` of a link that was put together from two.
    pub(crate) separator: char,
    /// Name and value, as they were written.
    pub(crate) text: &'q str,
}

/// The parameters of a raw query in their order; empty ones too.
///
/// A second `?` begins another parameter: what appends `?utm_source=mail` to a link does not look
/// whether it has a query already. In a value that is an address itself, the `?` belongs to that
/// address, and so does a token behind it.
pub(crate) fn segments(raw: &str) -> impl Iterator<Item = Segment<'_>> {
    raw.split('&').flat_map(|part| {
        let before = part.split('?').next().unwrap_or_default();
        let value = before.split_once('=').map_or("", |(_, value)| value);
        let is_address = value.contains(['/', ':']) || value.to_ascii_lowercase().contains("%2f");
        let pieces: Vec<&str> = if is_address { vec![part] } else { part.split('?').collect() };
        let separator = |at| if at == 0 { '&' } else { '?' };
        pieces
            .into_iter()
            .enumerate()
            .map(move |(at, text)| Segment { separator: separator(at), text })
    })
}

/// Whether a raw query brings anything under the reserved key.
pub(crate) fn brings_token(raw: &str) -> bool {
    segments(raw).any(|part| is_name(&name_and_value(part.text).0, TOKEN_KEY))
}

/// Whether a raw query has a parameter of this name, however it is written.
pub(crate) fn carries(raw: &str, key: &str) -> bool {
    segments(raw).any(|part| is_name(&name_and_value(part.text).0, key))
}

/// Name and value of a parameter, each decoded once (ASVS 15.3.7: never twice). Where the `=`
/// itself was escaped, it separates all the same.
pub(crate) fn name_and_value(segment: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if let Some((name, value)) = segment.split_once('=') {
        return (decoded(name), decoded(value));
    }
    let whole = decoded(segment);
    match whole.split_once('=') {
        Some((name, value)) => (name.to_owned().into(), value.to_owned().into()),
        None => (whole, Cow::Borrowed("")),
    }
}

/// Whether a decoded name is `key`, in any case of letters, with blanks around it and what is left
/// in front of it of an `&amp;` that no HTML reader has undone.
pub(crate) fn is_name(name: &str, key: &str) -> bool {
    let mut name = name.trim_matches(is_blank);
    while let Some(rest) = without_amp(name) {
        name = rest.trim_start_matches(is_blank);
    }
    name.eq_ignore_ascii_case(key)
}

/// The token in a decoded value; `None` if it cannot be one.
///
/// It may stand in quotes or brackets, be wrapped over several lines, and be followed by anything
/// that is no hex digit. With a digit more or less it is no token.
pub(crate) fn token_in(value: &str) -> Option<TokenSecret> {
    let value = value.trim_start_matches(may_stand_before);
    let mut digits = String::with_capacity(DIGITS + QUOTED_EQUALS.len() + 1);
    for letter in value.chars() {
        if letter.is_ascii_hexdigit() {
            digits.push(letter);
            if digits.len() > DIGITS + QUOTED_EQUALS.len() {
                return None;
            }
        } else if digits.len() >= DIGITS || !may_stand_between(letter) {
            break;
        }
    }
    let is_quoted = digits.len() == DIGITS + QUOTED_EQUALS.len()
        && digits.get(..2).is_some_and(|front| front.eq_ignore_ascii_case(QUOTED_EQUALS));
    let digits = if is_quoted { digits.get(2..)? } else { &digits };
    TokenSecret::parse(digits)
}

/// Decoded once; what is no UTF-8 is replaced.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn without_amp(name: &str) -> Option<&str> {
    let (front, rest) = name.split_at_checked(4)?;
    front.eq_ignore_ascii_case("amp;").then_some(rest)
}

/// A blank of any kind, also one without width, and the `+` that forms write for one.
fn is_blank(letter: char) -> bool {
    let has_no_width =
        matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    letter == '+' || letter.is_whitespace() || has_no_width
}

/// Quotes and brackets in which people and programs put what they send.
fn may_stand_before(letter: char) -> bool {
    is_blank(letter) || "=\"'`<([{“”„‘’«‹".contains(letter)
}

/// Where a line was broken: blanks, and the `=` of a soft line break (RFC 2045 §6.7).
fn may_stand_between(letter: char) -> bool {
    is_blank(letter) || letter == '='
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "2E5D0D57751D471DB29FD110D2DCE253";

    fn reads(value: &str) -> bool {
        token_in(value).is_some_and(|token| token.expose() == TOKEN)
    }

    #[test]
    fn what_follows_the_digits_and_is_no_digit_does_not_matter() {
        for rest in ["", ".", ")", "\u{3002}", " x", "?x=y", ";jsessionid=A", "\u{fffd}", "g"] {
            assert!(reads(&format!("{TOKEN}{rest}")), "{rest:?}");
        }
        for rest in ["0", "f", "A.", "00", &"0".repeat(100)] {
            assert!(token_in(&format!("{TOKEN}{rest}")).is_none(), "{rest:?}");
        }
        assert!(token_in(&TOKEN[1..]).is_none());
        assert!(token_in(&format!("x{TOKEN}")).is_none());
    }

    #[test]
    fn a_line_break_within_the_digits_does_not_matter() {
        let (front, back) = TOKEN.split_at(12);
        for between in ["\r\n", " ", "=", "=\r\n", "+", "\u{a0}", "\u{200b}"] {
            assert!(reads(&format!("{front}{between}{back}")), "{between:?}");
        }
        for between in [".", "-", "/", "x"] {
            assert!(token_in(&format!("{front}{between}{back}")).is_none(), "{between:?}");
        }
        assert!(reads(&format!("3D{TOKEN}")) && reads(&format!("=3d{TOKEN}")));
        assert!(token_in(&format!("4D{TOKEN}")).is_none());
    }

    #[test]
    fn a_second_question_mark_separates_unless_the_value_is_an_address() {
        let split = |raw| segments(raw).map(|part| part.text).collect::<Vec<_>>();
        assert_eq!(split("a=1?b=2&c"), ["a=1", "b=2", "c"]);
        assert_eq!(split("?a=1"), ["", "a=1"]);
        for whole in ["next=/paid?a=1", "next=https:x?a=1", "next=%2Fpaid?a=1"] {
            assert_eq!(split(whole), [whole]);
        }
    }

    #[test]
    fn names_are_decoded_once() {
        let name = |segment| name_and_value(segment).0.into_owned();
        assert!(is_name(&name("%244dsid=x"), "$4DSID"));
        assert!(is_name(&name("amp;amp%3B%20$4DSID=x"), "$4DSID"));
        assert!(is_name(&name("%244DSID%3Dx"), "$4DSID"));
        assert!(!is_name(&name("%25244DSID=x"), "$4DSID"));
        assert_eq!(name_and_value("a%3Db=c"), ("a=b".into(), "c".into()));
    }
}
