//! Removes the token of a request from what is passed on, wherever else it stands: proxies in front
//! copy the address into header fields of their own, and platforms repeat parameters, also within
//! longer texts of a body.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::token::TokenSecret;
use crate::token::text::segments;

/// A token is so many hex digits.
const TOKEN_DIGITS: usize = 32;
/// How often an address is found encoded in another one.
const NESTED_MAX: usize = 3;
/// What replaces each digit of a token in a longer text. In a query or a JSON string it needs no
/// escape.
const MASK: u8 = b'*';
/// The same as the hex digits of an escape.
const MASK_DIGITS: [u8; 2] = *b"2A";

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

    /// Removes every header field whose name or value contains the token. Of a `Cookie` field only
    /// the cookies that contain it are removed.
    pub(crate) fn remove_from_headers(&self, headers: &mut HeaderMap) {
        let are_in = |text: &[u8]| self.are_in(&String::from_utf8_lossy(text));
        let found = headers.iter().filter(|(name, value)| {
            are_in(name.as_ref()) || (*name != header::COOKIE && are_in(value.as_bytes()))
        });
        for name in found.map(|(name, _)| name.clone()).collect::<Vec<HeaderName>>() {
            headers.remove(name);
        }
        let cookies: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
        if !cookies.iter().any(|field| are_in(field.as_bytes())) {
            return;
        }
        headers.remove(header::COOKIE);
        for field in cookies {
            let kept = field.as_bytes().split(|byte| *byte == b';').filter(|part| !are_in(part));
            let kept = kept.collect::<Vec<_>>().join(&b';');
            if let Ok(value) = HeaderValue::from_bytes(kept.trim_ascii())
                && !value.is_empty()
            {
                headers.append(header::COOKIE, value);
            }
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

    /// A text in which the digits are masked wherever they stand, also percent-encoded or as escapes
    /// of a JSON string; `None` if they stand nowhere. It has the length of the original.
    pub(crate) fn masked(&self, text: &[u8]) -> Option<Vec<u8>> {
        // The digits are compared byte by byte: both texts are of the same client.
        let digits = self.0.expose();
        let (mut masked, mut at) = (None, 0);
        while let Some(rest) = text.get(at..).filter(|rest| rest.len() >= TOKEN_DIGITS) {
            at += match covered(digits.as_bytes(), rest) {
                Some(length) => {
                    let masked: &mut Vec<u8> = masked.get_or_insert_with(|| text.to_vec());
                    mask(masked.get_mut(at..at + length).unwrap_or_default());
                    length
                }
                None => 1,
            };
        }
        masked
    }
}

/// The number of bytes with which a text writes these digits at its beginning; `None` if it does
/// not.
fn covered(digits: &[u8], text: &[u8]) -> Option<usize> {
    let mut length = 0;
    for digit in digits {
        let (written, bytes) = written_digit(text.get(length..)?)?;
        if written != *digit {
            return None;
        }
        length += bytes;
    }
    Some(length)
}

/// Masks every digit of a text that has nothing but written digits.
fn mask(mut text: &mut [u8]) {
    while let Some((_, bytes)) = written_digit(text) {
        let Some((digit, rest)) = text.split_at_mut_checked(bytes) else { return };
        match digit {
            [plain] => *plain = MASK,
            [.., high, low] => [*high, *low] = MASK_DIGITS,
            [] => return,
        }
        text = rest;
    }
}

/// The hex digit at the beginning of a text, in upper case, and the bytes that write it: the digit,
/// `%32`, the same encoded again as `%2532`, or `\u0032`.
fn written_digit(text: &[u8]) -> Option<(u8, usize)> {
    let (byte, bytes) = match text {
        [b'%', rest @ ..] => {
            let mut escape = rest;
            while let [b'2', b'5', inner @ ..] = escape
                && rest.len() - inner.len() <= 2 * NESTED_MAX
            {
                escape = inner;
            }
            let (high, low) = (escape.first()?, escape.get(1)?);
            (escaped_byte(*high, *low)?, rest.len() - escape.len() + 3)
        }
        [b'\\', b'u', b'0', b'0', high, low, ..] => (escaped_byte(*high, *low)?, 6),
        [byte, ..] => (*byte, 1),
        [] => return None,
    };
    byte.is_ascii_hexdigit().then_some((byte.to_ascii_uppercase(), bytes))
}

fn escaped_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
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
        headers.append(TOKEN, "1".parse().unwrap());
        headers.append("cookie", format!("a=1; state={TOKEN}; b=2").parse().unwrap());
        headers.append("cookie", format!("state={TOKEN}").parse().unwrap());
        Digits::of(&token()).remove_from_headers(&mut headers);
        let left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(
            left,
            [("x-b", &"kept".parse().unwrap()), ("cookie", &"a=1; b=2".parse().unwrap())]
        );
    }

    #[test]
    fn a_longer_text_keeps_its_length_and_everything_but_the_digits() {
        let token = token();
        let masked = |text: &str| {
            let masked = Digits::of(&token).masked(text.as_bytes())?;
            assert_eq!(masked.len(), text.len());
            Some(String::from_utf8(masked).unwrap())
        };
        let stars = "*".repeat(32);
        let lower = TOKEN.to_ascii_lowercase();
        for (before, after) in [("", ""), ("of ", "."), ("aF", "0f"), ("%3D", "%26"), ("é", "é")]
        {
            for digits in [TOKEN, &lower] {
                let text = format!("{before}{digits}{after}");
                assert_eq!(masked(&text).unwrap(), format!("{before}{stars}{after}"));
            }
        }
        assert_eq!(
            masked(&format!("{TOKEN}{TOKEN}, {lower}")).unwrap(),
            format!("{stars}{stars}, {stars}")
        );
        let rest = "5D0D57751D471DB29FD110D2DCE253";
        let rest_stars = "*".repeat(30);
        for (digits, escapes) in [
            ("%32%45", "%2A%2A"),
            ("%2532%2545", "%252A%252A"),
            ("\\u0032\\u0045", "\\u002A\\u002A"),
        ] {
            assert_eq!(
                masked(&format!("x{digits}{rest}")).unwrap(),
                format!("x{escapes}{rest_stars}")
            );
        }
        for other in ["", "%", "\\u00", "%25", &TOKEN[1..], &format!("{rest}{rest}"), &TOKEN[..31]]
        {
            assert_eq!(masked(other), None, "{other}");
        }
    }
}
