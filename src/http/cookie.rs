//! The session cookie: reading it from a request and writing it into an answer.

use hyper::HeaderMap;
use hyper::header::COOKIE;
use hyper::header::HeaderValue;

use crate::base::limits::COOKIE_BYTES_MAX;
use crate::base::limits::COOKIES_MAX;
use crate::base::secret::SecretText;

/// How the session cookie is named and guarded.
#[derive(Debug, Clone)]
pub struct CookieRule {
    name: String,
    same_site: SameSite,
    secure: bool,
}

/// When a browser sends the cookie along with requests that other sites cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// On links and redirects from other sites, not on their forms and scripts. The default:
    /// with `Strict` the session would be missing on the redirect after a cross-site return.
    #[default]
    Lax,
    /// Never (4D's default).
    Strict,
    /// Always; browsers accept it only with `Secure`.
    None,
}

/// What a request presents under the session cookie's name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Presented<'r> {
    /// No such cookie.
    Nothing,
    /// One value.
    One(&'r str),
    /// Several values: somebody on a sibling host may have planted one, so none counts
    /// (SEC T28).
    Several,
}

impl CookieRule {
    /// The cookie of this full name, such as `4DSID_shop` or `__Host-4DSID_shop`.
    pub fn new(name: String, same_site: SameSite, secure: bool) -> Self {
        Self { name, same_site, secure }
    }

    /// The cookie's full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether answers to the browser travel over HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Reads the cookie from a request.
    ///
    /// The header is split at `;` as bytes, and nothing but spaces and tabs is trimmed: no
    /// quotes, no escapes, no attributes. Names that only look alike after some other program's
    /// decoding are other names, and what other cookies hold does not matter (SEC T29). A header
    /// beyond the limits may hide a second value, so it counts as one.
    pub(crate) fn read<'r>(&self, headers: &'r HeaderMap) -> Presented<'r> {
        let mut found = Presented::Nothing;
        let mut cookies = 0;
        for header in headers.get_all(COOKIE) {
            if header.len() > COOKIE_BYTES_MAX {
                return Presented::Several;
            }
            for part in header.as_bytes().split(|byte| *byte == b';') {
                cookies += 1;
                if cookies > COOKIES_MAX {
                    return Presented::Several;
                }
                let mut halves = part.splitn(2, |byte| *byte == b'=');
                let name = halves.next().unwrap_or_default();
                if trimmed(name) != self.name.as_bytes() {
                    continue;
                }
                let value = std::str::from_utf8(trimmed(halves.next().unwrap_or_default()));
                found = match (found, value) {
                    (Presented::Nothing, Ok(value)) => Presented::One(value),
                    _ => Presented::Several,
                };
            }
        }
        found
    }

    /// The header value that gives a browser this credential until it is closed.
    pub(crate) fn set(&self, credential: &SecretText) -> Option<HeaderValue> {
        let text = format!("{}={}{}", self.name, credential.expose(), self.attributes());
        let mut value = HeaderValue::from_str(&text).ok()?;
        // Keeps it out of HPACK's tables and of `Debug`.
        value.set_sensitive(true);
        Some(value)
    }

    fn attributes(&self) -> &'static str {
        match (self.same_site, self.secure) {
            (SameSite::Lax, false) => "; Path=/; HttpOnly; SameSite=Lax",
            (SameSite::Lax, true) => "; Path=/; Secure; HttpOnly; SameSite=Lax",
            (SameSite::Strict, false) => "; Path=/; HttpOnly; SameSite=Strict",
            (SameSite::Strict, true) => "; Path=/; Secure; HttpOnly; SameSite=Strict",
            (SameSite::None, _) => "; Path=/; Secure; HttpOnly; SameSite=None",
        }
    }
}

/// Bytes without the spaces and tabs around them (RFC 6265 §4.2.1).
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> CookieRule {
        CookieRule::new("4DSID_shop".into(), SameSite::Lax, false)
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
        values.map(|value| (COOKIE, value)).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(&[b"a=1;  4DSID_shop=xyz\t; b=2"]);
        assert_eq!(rule().read(&found), Presented::One("xyz"));
        assert_eq!(rule().read(&headers(&[b"a=1", b"4DSID_shop=q"])), Presented::One("q"));
        assert_eq!(rule().read(&HeaderMap::new()), Presented::Nothing);
    }

    #[test]
    fn names_that_look_alike_are_other_names() {
        for text in [
            &b"\xe2\x80\x804DSID_shop=x"[..],
            b"$Version=1; 4DSID_SHOP=x",
            b"%34DSID_shop=x",
            b"\"4DSID_shop\"=x",
            b"4DSID_shop2=x",
            b"=4DSID_shop",
        ] {
            assert_eq!(rule().read(&headers(&[text])), Presented::Nothing, "{text:?}");
        }
    }

    #[test]
    fn what_other_cookies_hold_does_not_matter() {
        let found = headers(&["n=J\u{fc}rgen; 4DSID_shop=xyz".as_bytes(), b"m=\xff"]);
        assert_eq!(rule().read(&found), Presented::One("xyz"));
    }

    #[test]
    fn a_header_beyond_the_limits_is_none() {
        let many = "4DSID_shop=a; ".to_owned() + &"x=1; ".repeat(COOKIES_MAX) + "4DSID_shop=b";
        assert_eq!(rule().read(&headers(&[many.as_bytes()])), Presented::Several);
        let long = format!("4DSID_shop=a; x={}", "y".repeat(COOKIE_BYTES_MAX));
        assert_eq!(rule().read(&headers(&[long.as_bytes()])), Presented::Several);
    }

    #[test]
    fn two_values_are_none() {
        assert_eq!(rule().read(&headers(&[b"4DSID_shop=a; 4DSID_shop=a"])), Presented::Several);
        assert_eq!(rule().read(&headers(&[b"4DSID_shop=a", b"4DSID_shop=b"])), Presented::Several);
    }

    #[test]
    fn attributes_are_written_out() {
        let text = |rule: CookieRule| {
            let value = rule.set(&SecretText::new("q7".into())).unwrap();
            assert!(!format!("{value:?}").contains("q7"), "a cookie value must not be printed");
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(text(rule()), "4DSID_shop=q7; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            text(CookieRule::new("__Host-4DSID_shop".into(), SameSite::Strict, true)),
            "__Host-4DSID_shop=q7; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
    }
}
