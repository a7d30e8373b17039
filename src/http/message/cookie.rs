//! callgate's cookies: reading them from a request and writing them into a response.
//!
//! The session cookie opens a session. The binding cookie says which tokens this browser minted,
//! and the confirmation cookie that it was shown the page which asks before a link counts.

use hyper::HeaderMap;
use hyper::header::COOKIE;
use hyper::header::HeaderValue;

use crate::base::limits::CONFIRM_PAGE_SECS;
use crate::base::secret::SecretText;
use crate::flow::open::Cookies;
use crate::flow::open::Presented;

/// The name under which clients of `/rest` know the session cookie
/// (developer.4d.com/docs/18/REST/directory). They look for this very name, so that it has no prefix.
const REST: &str = "WASID4D";

/// How the cookies are named and guarded.
#[derive(Debug, Clone)]
pub struct CookieRule {
    name: String,
    binding: String,
    confirm: String,
    same_site: SameSite,
    secure: bool,
}

/// What goes in front of every cookie's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// `__Host-`: browsers take the cookie only from this very host, over HTTPS (RFC 6265bis
    /// §4.1.3.2).
    Host,
    /// Nothing.
    None,
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

impl CookieRule {
    /// The cookies of the application `app`, such as `4DSID_shop` or `__Host-4DSID_shop` for its
    /// sessions. `same_site` is for that one: the binding cookie is always `Lax`, or a return from
    /// another site would look like a foreign browser, and the confirmation cookie always `Strict`.
    pub fn new(prefix: Prefix, app: &str, same_site: SameSite, secure: bool) -> Self {
        let prefix = match prefix {
            Prefix::Host => "__Host-",
            Prefix::None => "",
        };
        Self {
            name: format!("{prefix}4DSID_{app}"),
            binding: format!("{prefix}4DBIND_{app}"),
            confirm: format!("{prefix}4DCONF"),
            same_site,
            secure,
        }
    }

    /// The session cookie's full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a cookie of this name is callgate's own under any prefix, spaces around it not
    /// counting (RFC 6265 §5.2): one that was given before the prefix was changed still opens its
    /// session once it is changed back. Browsers know the prefixes in any case of letters
    /// (RFC 6265bis §5.7).
    pub(crate) fn reserves(&self, name: &[u8]) -> bool {
        let name = without_prefix(name.trim_ascii());
        [&self.name, &self.binding, &self.confirm, REST]
            .iter()
            .any(|own| without_prefix(own.as_bytes()).eq_ignore_ascii_case(name))
    }

    /// With which requests of other sites browsers send the session cookie.
    pub(crate) fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Whether responses to the browser travel over HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Reads session and binding from a request.
    pub(crate) fn read<'r>(&'r self, headers: &'r HeaderMap) -> Cookies<'r> {
        let [session, binding] = find(headers, [&self.name, &self.binding]);
        Cookies { name: &self.name, session, binding }
    }

    /// Reads what a client of `/rest` presents as its session.
    pub(crate) fn find_rest(headers: &HeaderMap) -> Presented<'_> {
        let [session] = find(headers, [REST]);
        session
    }

    /// Reads the confirmation cookie, which only the page and its form are about.
    pub(crate) fn find_confirm<'r>(&self, headers: &'r HeaderMap) -> Presented<'r> {
        let [confirm] = find(headers, [&self.confirm]);
        confirm
    }

    /// The header value that gives a browser this credential until it is closed.
    pub(crate) fn set(&self, credential: &SecretText) -> Option<HeaderValue> {
        written(&format!("{}={}{}", self.name, credential.expose(), self.attributes()))
    }

    /// The same under the name that clients of `/rest` look for.
    pub(crate) fn set_rest(&self, credential: &SecretText) -> Option<HeaderValue> {
        written(&format!("{REST}={}{}", credential.expose(), self.attributes()))
    }

    /// The header value that gives a browser this binding for so many seconds.
    pub(crate) fn set_binding(&self, value: &SecretText, max_age_secs: u64) -> Option<HeaderValue> {
        let (name, value) = (&self.binding, value.expose());
        let attributes = attributes(SameSite::Lax, self.secure);
        written(&format!("{name}={value}{attributes}; Max-Age={max_age_secs}"))
    }

    /// The header value that gives a browser the nonce of a page that asks it something.
    pub(crate) fn set_confirm(&self, value: &SecretText) -> Option<HeaderValue> {
        let (name, value) = (&self.confirm, value.expose());
        let attributes = attributes(SameSite::Strict, self.secure);
        written(&format!("{name}={value}{attributes}; Max-Age={CONFIRM_PAGE_SECS}"))
    }

    fn attributes(&self) -> &'static str {
        attributes(self.same_site, self.secure)
    }
}

/// What a request presents under each of these names, in one pass over its cookies.
///
/// The header is split at `;` as bytes, and nothing but spaces and tabs is trimmed: no quotes, no
/// escapes, no attributes. Names that only look alike after some other program's decoding are
/// other names, and neither the number nor the content of other cookies matters
/// (docs/SECURITY.md T29): the size of the whole header is limited where it is received. A value
/// that is not text cannot be one of callgate's.
fn find<'r, const N: usize>(headers: &'r HeaderMap, names: [&str; N]) -> [Presented<'r>; N] {
    let mut found = [const { Presented::Nothing }; N];
    let fields = headers.get_all(COOKIE).iter();
    for part in fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';')) {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let name = trimmed(halves.next().unwrap_or_default());
        let wanted = names.iter().zip(&mut found).find(|(own, _)| own.as_bytes() == name);
        let value = std::str::from_utf8(trimmed(halves.next().unwrap_or_default()));
        if let (Some((_, slot)), Ok(value)) = (wanted, value) {
            slot.add(value);
        }
    }
    found
}

fn without_prefix(name: &[u8]) -> &[u8] {
    for prefix in ["__Host-", "__Secure-"] {
        if let Some((front, rest)) = name.split_at_checked(prefix.len())
            && front.eq_ignore_ascii_case(prefix.as_bytes())
        {
            return rest;
        }
    }
    name
}

fn attributes(same_site: SameSite, secure: bool) -> &'static str {
    match (same_site, secure) {
        (SameSite::Lax, false) => "; Path=/; HttpOnly; SameSite=Lax",
        (SameSite::Lax, true) => "; Path=/; Secure; HttpOnly; SameSite=Lax",
        (SameSite::Strict, false) => "; Path=/; HttpOnly; SameSite=Strict",
        (SameSite::Strict, true) => "; Path=/; Secure; HttpOnly; SameSite=Strict",
        (SameSite::None, _) => "; Path=/; Secure; HttpOnly; SameSite=None",
    }
}

fn written(cookie: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(cookie).ok()?;
    // Keeps it out of HPACK's tables and of `Debug`.
    value.set_sensitive(true);
    Some(value)
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
    use crate::flow::open::Authentic;
    use std::sync::LazyLock;

    fn rule() -> &'static CookieRule {
        static RULE: LazyLock<CookieRule> =
            LazyLock::new(|| CookieRule::new(Prefix::None, "shop", SameSite::Lax, false));
        &RULE
    }

    fn read(headers: &HeaderMap) -> Presented<'_> {
        rule().read(headers).session
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
        values.map(|value| (COOKIE, value)).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(&[b"a=1;  4DSID_shop=xyz\t; b=2"]);
        assert_eq!(read(&found), Presented::One("xyz"));
        assert_eq!(read(&headers(&[b"a=1", b"4DSID_shop=q"])), Presented::One("q"));
        assert_eq!(read(&HeaderMap::new()), Presented::Nothing);
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
            assert_eq!(read(&headers(&[text])), Presented::Nothing, "{text:?}");
        }
    }

    #[test]
    fn what_other_cookies_hold_does_not_matter() {
        let found = headers(&["n=J\u{fc}rgen; 4DSID_shop=xyz".as_bytes(), b"m=\xff"]);
        assert_eq!(read(&found), Presented::One("xyz"));
    }

    #[test]
    fn the_cookie_is_found_among_any_number_of_others() {
        let many = |own: &str| format!("{}{own}; z=1", "x=1; ".repeat(2_000));
        assert_eq!(read(&headers(&[many("4DSID_shop=a").as_bytes()])), Presented::One("a"));
        let long = format!("x={}; 4DSID_shop=a", "y".repeat(20_000));
        assert_eq!(read(&headers(&[long.as_bytes()])), Presented::One("a"));
        let both = format!("4DSID_shop=a; {}", many("4DSID_shop=b"));
        let both = headers(&[both.as_bytes()]);
        assert_eq!(read(&both), Presented::Several(vec!["a", "b"]));
    }

    #[test]
    fn equal_values_are_one_and_different_ones_are_several() {
        assert_eq!(read(&headers(&[b"4DSID_shop=a; 4DSID_shop=a"])), Presented::One("a"));
        let two = headers(&[b"4DSID_shop=a", b"4DSID_shop=b; 4DSID_shop=a; 4DSID_shop=b"]);
        assert_eq!(read(&two), Presented::Several(vec!["a", "b"]));
        let broken = headers(&[b"4DSID_shop=\xff; 4DSID_shop=a"]);
        assert_eq!(read(&broken), Presented::One("a"), "what is no text is none of ours");
    }

    #[test]
    fn the_authentic_value_counts_and_several_of_them_do_not() {
        let number = |text: &str| text.parse::<u32>().ok();
        let check = |values: Vec<&'static str>| match Presented::Several(values)
            .authentic(number, |one, other| one == other)
        {
            Authentic::Missing => "missing".to_owned(),
            Authentic::One(number) => number.to_string(),
            Authentic::Several => "several".to_owned(),
        };
        assert_eq!(check(vec!["x", "7", "y"]), "7");
        assert_eq!(check(vec!["x", "7", "07"]), "7", "they mean the same");
        assert_eq!(check(vec!["7", "8"]), "several");
        assert_eq!(check(vec!["x", "y"]), "missing");
    }

    #[test]
    fn attributes_are_written_out() {
        let text = |rule: CookieRule| {
            let value = rule.set(&SecretText::new("q7".into())).unwrap();
            assert!(!format!("{value:?}").contains("q7"), "a cookie value must not be printed");
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(text(rule().clone()), "4DSID_shop=q7; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            text(CookieRule::new(Prefix::Host, "shop", SameSite::Strict, true)),
            "__Host-4DSID_shop=q7; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn one_pass_finds_session_and_binding_and_each_counts_for_itself() {
        let headers = headers(&[b"4DBIND_shop=b; 4DSID_shop=s; 4DBIND_shop=c; 4DCONF=n"]);
        let found = rule().read(&headers);
        assert_eq!(
            (found.session, found.binding),
            (Presented::One("s"), Presented::Several(vec!["b", "c"]))
        );
        assert_eq!(rule().find_confirm(&headers), Presented::One("n"));
    }

    #[test]
    fn the_other_cookies_keep_their_own_guards() {
        let rule = CookieRule::new(Prefix::Host, "shop", SameSite::Strict, true);
        let value = SecretText::new("q7".into());
        let text = |value: Option<HeaderValue>| value.unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            text(rule.set_binding(&value, 90)),
            "__Host-4DBIND_shop=q7; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=90"
        );
        assert_eq!(
            text(rule.set_confirm(&value)),
            "__Host-4DCONF=q7; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=600"
        );
        assert!(rule.reserves(b" __Host-4DCONF") && rule.reserves(b"__Host-4DBIND_shop\t"));
        assert!(rule.reserves(b"4DCONF") && rule.reserves(b"__secure-4dsid_shop"));
        assert!(!rule.reserves(b"4DSID_shop2") && !rule.reserves(b"x4DCONF"));
    }
}
