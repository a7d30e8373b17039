//! The secrets of one run, and every form in which one of them could be written down.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where the random part of a sealed credential is: behind kind, key and date.
const NONCE: std::ops::Range<usize> = 6..22;

/// Digits of a token from its beginning that nobody may see together.
const PREFIX: usize = 24;

/// Tokens, cookie values and keys.
#[derive(Default)]
pub(super) struct Secrets {
    tokens: Vec<String>,
    cookies: Vec<String>,
    nonces: usize,
    forms: BTreeSet<Form>,
}

/// One way in which a secret may be written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    bytes: Vec<u8>,
    what: &'static str,
}

impl Secrets {
    pub(super) fn add_token(&mut self, token: &str) {
        assert_eq!(token.len(), 32, "{token:?} is no token");
        self.tokens.push(token.to_owned());
        self.add_bytes("a token", &unhex(token));
        // So much of it that the rest can be guessed.
        self.add_form("most of a token", &token.as_bytes()[..PREFIX]);
        self.add_form("most of a token", &token.to_lowercase().as_bytes()[..PREFIX]);
    }

    pub(super) fn add_cookie(&mut self, value: &str) {
        if self.cookies.iter().any(|known| known == value) {
            return;
        }
        self.cookies.push(value.to_owned());
        let bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
        self.add_form("a cookie", value.as_bytes());
        self.add_bytes("a cookie", &bytes);
        self.add_bytes("the secret of a cookie", &bytes[NONCE]);
    }

    /// What a browser is known by, or was shown a page with.
    pub(super) fn add_nonce(&mut self, digits: &str) {
        assert_eq!(digits.len(), 32, "{digits:?} is no nonce");
        self.nonces += 1;
        self.add_bytes("a nonce", &unhex(digits));
    }

    pub(super) fn add_key(&mut self, key: &str) {
        assert_eq!(key.len(), 64, "a key has 64 digits");
        self.add_bytes("the key", &unhex(key));
    }

    /// Takes over all secrets of another run.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.tokens.append(&mut other.tokens);
        self.cookies.append(&mut other.cookies);
        self.nonces += other.nonces;
        self.forms.append(&mut other.forms);
    }

    fn add_bytes(&mut self, what: &'static str, bytes: &[u8]) {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
        let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let lower: String = halves.map(digit).collect();
        self.add_form(what, bytes);
        self.add_form(what, lower.as_bytes());
        self.add_form(what, lower.to_uppercase().as_bytes());
        self.add_form(what, URL_SAFE_NO_PAD.encode(bytes).as_bytes());
        self.add_form(what, STANDARD_NO_PAD.encode(bytes).as_bytes());
    }

    fn add_form(&mut self, what: &'static str, bytes: &[u8]) {
        self.forms.insert(Form { bytes: bytes.to_vec(), what });
    }

    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// How many secrets there are, and in how many forms they are looked for.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.tokens.len() + self.cookies.len() + self.nonces, self.forms.len())
    }

    /// What is found in `bytes`, with what is around it.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<String> {
        // All forms are longer than this, so one pass over the bytes finds where to look closer.
        const HEAD: usize = 8;
        let mut heads = std::collections::HashMap::<&[u8], Vec<&Form>>::new();
        for form in &self.forms {
            heads.entry(&form.bytes[..HEAD]).or_default().push(form);
        }
        let mut found = Vec::new();
        for (at, window) in bytes.windows(HEAD).enumerate() {
            for form in heads.get(window).into_iter().flatten() {
                if bytes[at..].starts_with(&form.bytes) {
                    let from = at.saturating_sub(80);
                    let around = String::from_utf8_lossy(&bytes[from..at]);
                    found.push(format!("{} after {around:?}", form.what));
                }
            }
        }
        found
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let mut secrets = Secrets::default();
        let token = "2E5D0D57751D471DB29FD110D2DCE253";
        secrets.add_token(token);
        let bytes = unhex(token);
        let forms: [&[u8]; 5] = [
            token.as_bytes(),
            &token.to_lowercase().into_bytes(),
            &bytes,
            &URL_SAFE_NO_PAD.encode(&bytes).into_bytes(),
            &STANDARD_NO_PAD.encode(&bytes).into_bytes(),
        ];
        for form in forms {
            let text = [b"before ", form, b" after"].concat();
            assert!(!secrets.find(&text).is_empty(), "{:?}", String::from_utf8_lossy(&text));
            assert_eq!(secrets.find(&text[..7 + form.len() / 2]), [] as [&str; 0]);
        }
    }

    #[test]
    fn the_secret_of_a_cookie_is_found_without_the_cookie() {
        let mut secrets = Secrets::default();
        let sealed: Vec<u8> = (0..70).map(|at| at * 3).collect();
        secrets.add_cookie(&URL_SAFE_NO_PAD.encode(&sealed));
        assert!(!secrets.find(&sealed[NONCE]).is_empty());
    }
}
