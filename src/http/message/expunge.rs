//! Taking the token of a request out of what is passed on, wherever else it stands: proxies in
//! front copy the address into header fields of their own, and platforms repeat parameters.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header;
use hyper::header::HeaderName;
use percent_encoding::percent_decode_str;

use crate::token::TokenSecret;
use crate::token::text::segments;

/// A token is so many hex digits.
const TOKEN_DIGITS: usize = 32;
/// How often an address is found encoded in another one.
const NESTED_MAX: usize = 3;

/// The digits of the token of a request.
pub(crate) struct Digits<'t>(&'t TokenSecret);

impl<'t> Digits<'t> {
    pub(crate) fn of(token: &'t TokenSecret) -> Self {
        Self(token)
    }

    /// Whether a text contains the digits, in whatever encoding and case.
    fn are_in(&self, text: &str) -> bool {
        let mut text = Cow::Borrowed(text);
        for _ in 0..NESTED_MAX {
            if self.are_plainly_in(&text) {
                return true;
            }
            if !text.contains('%') {
                return false;
            }
            text = Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned());
        }
        self.are_plainly_in(&text)
    }

    /// Whether a text contains them as it is written. Both ends of a longer run of hex digits are
    /// checked, because other digits may precede or follow the token.
    fn are_plainly_in(&self, text: &str) -> bool {
        let is_token = |digits: Option<&str>| {
            digits.and_then(TokenSecret::parse).is_some_and(|other| other.is(self.0))
        };
        let mut runs = text.split(|letter: char| !letter.is_ascii_hexdigit());
        runs.any(|run| {
            is_token(run.get(..TOKEN_DIGITS))
                || is_token(run.len().checked_sub(TOKEN_DIGITS).and_then(|at| run.get(at..)))
        })
    }

    /// Removes every header field that contains the token, except cookies, which belong to the
    /// browser.
    pub(crate) fn remove_from_headers(&self, headers: &mut HeaderMap) {
        let found = headers.iter().filter(|(name, value)| {
            *name != header::COOKIE && self.are_in(&String::from_utf8_lossy(value.as_bytes()))
        });
        for name in found.map(|(name, _)| name.clone()).collect::<Vec<HeaderName>>() {
            headers.remove(name);
        }
    }

    /// A raw query without the parameters that contain the token.
    pub(crate) fn remove_from_query(&self, raw: &str) -> String {
        let mut kept = String::with_capacity(raw.len());
        let mut is_first = true;
        for part in segments(raw).filter(|part| !self.are_in(part.text)) {
            if !std::mem::take(&mut is_first) {
                kept.push(part.separator);
            }
            kept.push_str(part.text);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "2E5D0D57751D471DB29FD110D2DCE253";

    fn token() -> TokenSecret {
        TokenSecret::parse(TOKEN).unwrap()
    }

    #[test]
    fn a_token_is_found_however_it_is_written() {
        for written in [
            TOKEN,
            "of 2e5d0d57751d471db29fd110d2dce253.",
            "3D2E5D0D57751D471DB29FD110D2DCE253",
            "2E5D0D57751D471DB29FD110D2DCE2530a",
            "%32E5D0D57751D471DB29FD110D2DCE253",
            "%2532%2545%2535D0D57751D471DB29FD110D2DCE253",
            "/x%3Fs%3D2E5D0D57751D471DB29FD110D2DCE253%26a",
        ] {
            assert!(Digits::of(&token()).are_in(written), "{written}");
        }
        for other in ["", "%", "%zz", "2E5D0D57751D471DB29FD110D2DCE25"] {
            assert!(!Digits::of(&token()).are_in(other), "{other}");
        }
    }

    #[test]
    fn what_has_it_is_left_out_and_the_rest_stays_as_it_is() {
        let raw = format!("a=%20&next=%2Fx%3Fs%3D{TOKEN}&b&{TOKEN}&c='1'");
        assert_eq!(Digits::of(&token()).remove_from_query(&raw), "a=%20&b&c='1'");
        assert_eq!(Digits::of(&token()).remove_from_query("a=1&&b"), "a=1&&b");
        let mut headers = HeaderMap::new();
        headers.append("x-a", TOKEN.parse().unwrap());
        headers.append("x-b", "kept".parse().unwrap());
        headers.append("cookie", format!("state={TOKEN}").parse().unwrap());
        Digits::of(&token()).remove_from_headers(&mut headers);
        assert!(!headers.contains_key("x-a"));
        assert!(headers.contains_key("x-b") && headers.contains_key("cookie"));
    }
}
