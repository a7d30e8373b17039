//! What must be true of every answer, whatever the test is about.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use hyper::HeaderMap;
use hyper::header::SET_COOKIE;

/// Texts that only the inside may know: what the probe raises, what the faulty store says, where
/// a panic happened.
const INNER: [&str; 5] =
    ["inner text", "the request was lost", "the reply was lost", "panicked at", ".rs:"];

/// How the names of callgate's own cookies begin.
const OWN: [&str; 3] = ["4DSID_", "4DBIND_", "4DCONF"];

/// The secrets that a test has seen so far: minted tokens, and what cookies hold.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    secrets: Mutex<Vec<String>>,
    /// Whether answers may tell what a handler raised.
    development: bool,
}

impl Ledger {
    pub(crate) fn new(development: bool) -> Self {
        Self { secrets: Mutex::default(), development }
    }

    /// From now on this token may be in no answer, spent or not.
    pub(crate) fn add(&self, secret: &str) {
        assert!(secret.len() >= 32, "{secret:?} is too short for a secret");
        self.secrets().push(secret.to_owned());
    }

    /// Whether any token that was minted stands in this text.
    pub(crate) fn is_told_in(&self, text: &str) -> bool {
        self.secrets().iter().any(|secret| text.contains(secret.as_str()))
    }

    /// Fails if this answer tells what it must not, or lacks what every answer has.
    ///
    /// `carried` says whether the request carried a token.
    pub(crate) fn check(&self, headers: &HeaderMap, body: &[u8], carried: bool) {
        let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let id = text("x-request-id");
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        assert!(id.len() == 36 && plain, "request id {id:?}");
        assert_eq!(text("x-content-type-options"), "nosniff");
        let cookies = headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        let own: Vec<&str> =
            cookies.filter(|text| OWN.iter().any(|own| text.contains(own))).collect();
        for name in OWN {
            let given = own.iter().filter(|text| text.contains(name)).count();
            assert!(given <= 1, "{given} cookies {name} in one answer");
        }
        if carried {
            assert_eq!(text("referrer-policy"), "no-referrer", "{headers:?}");
        }
        if carried || !own.is_empty() {
            assert_eq!(text("cache-control"), "no-store", "{headers:?}");
        }
        let text = String::from_utf8_lossy(body);
        // The page that asks gives the token back to the one who brought it, in its form.
        let text = if carried { without_form_token(&text) } else { text.into_owned() };
        self.check_told(headers, &text);
        for cookie in own {
            // The date of a binding is no secret.
            let value = cookie.split(['=', ';', '.']).nth(1).unwrap();
            self.add(value);
        }
    }

    fn check_told(&self, headers: &HeaderMap, body: &str) {
        let others = headers.iter().filter(|(name, _)| *name != SET_COOKIE);
        let mut told = body.to_owned();
        for (_, value) in others {
            told.push('\n');
            told.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        for secret in self.secrets().iter() {
            assert!(!told.contains(secret.as_str()), "an answer tells {secret}: {told}");
        }
        for inner in INNER.iter().filter(|_| !self.development) {
            assert!(!told.contains(inner), "an answer tells {inner:?}: {told}");
        }
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page that asks, without the one field in which it may tell a token.
fn without_form_token(page: &str) -> String {
    let field = "<input type=\"hidden\" name=\"token\" value=\"";
    match page.split_once(field) {
        Some((before, rest)) => format!("{before}{}", rest.split_once('"').unwrap().1),
        None => page.to_owned(),
    }
}

#[test]
#[should_panic(expected = "an answer tells")]
fn the_check_finds_a_token_that_is_told() {
    let ledger = Ledger::default();
    let token = "2E5D0D57751D471DB29FD110D2DCE253";
    ledger.add(token);
    let headers = [
        ("x-request-id", "019b76da-a800-7000-bbd5-f3a7271844cf"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    ledger.check(&headers.into_iter().collect(), format!("link: {token}").as_bytes(), false);
}
