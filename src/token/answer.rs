//! The response to a callback, stored for its repeats and sealed with the token that a repeat
//! carries.
//!
//! A response may contain cookies of the application and links with further tokens. Its key is
//! derived from the token (HKDF-SHA256, RFC 5869), of which a store has only a digest: neither the
//! files of a store nor the key file of callgate open it, alone or together.

use std::fmt;
use std::sync::Arc;

use ring::aead;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::Nonce;
use ring::aead::UnboundKey;
use ring::hkdf;

use crate::base::secret::entropy::Entropy;
use crate::base::secret::entropy::NoEntropy;
use crate::base::secret::entropy::random;
use crate::token::TokenSecret;

/// Longest body of a stored response (docs/CONTRACT.md §6.5).
pub const ANSWER_BODY_BYTES_MAX: usize = 64 * 1024;
/// Total size of the header fields of a stored response, names and values. More than most clients
/// read.
const ANSWER_HEAD_BYTES_MAX: usize = 16 * 1024;

/// The first byte of the plaintext: its format version.
const FORM: u8 = 1;

/// A response as it was sent, without the headers that callgate adds to every response.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields in their order; `Set-Cookie` may occur several times.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A response that only the token can open; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAnswer(Arc<[u8]>);

/// Bytes that this token does not open, or that are not a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealedHere;

impl fmt::Display for NotSealedHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kept answer cannot be opened with the token that found it")
    }
}

impl std::error::Error for NotSealedHere {}

impl SealedAnswer {
    /// Restores the bytes that [`SealedAnswer::bytes`] returned.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for a store.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Prints the size only.
impl fmt::Debug for SealedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedAnswer({} bytes)", self.0.len())
    }
}

/// Prints status and size only: the body may contain a link with a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// Whether it is small enough to be stored.
    pub fn fits(&self) -> bool {
        let head: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.body.len() <= ANSWER_BODY_BYTES_MAX && head <= ANSWER_HEAD_BYTES_MAX
    }

    /// Seals it for repeats of the callback that carried `secret` to the application `app`.
    pub fn seal(
        &self,
        secret: &TokenSecret,
        app: &str,
        entropy: &dyn Entropy,
    ) -> Result<SealedAnswer, NoEntropy> {
        let nonce: [u8; aead::NONCE_LEN] = random(entropy)?;
        let mut text = self.write();
        let key = key(secret, app).ok_or(NoEntropy)?;
        let aad = Aad::from(*secret.digest(app).bytes());
        // It fails for gigabytes only.
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|ring::error::Unspecified| NoEntropy)?;
        Ok(SealedAnswer([&nonce[..], &text].concat().into()))
    }

    /// Opens a response that was sealed with this token for this application.
    pub fn open(
        sealed: &SealedAnswer,
        secret: &TokenSecret,
        app: &str,
    ) -> Result<Self, NotSealedHere> {
        let split = sealed.0.split_first_chunk::<{ aead::NONCE_LEN }>();
        let (nonce, text) = split.ok_or(NotSealedHere)?;
        let mut text = text.to_vec();
        let aad = Aad::from(*secret.digest(app).bytes());
        let text = key(secret, app)
            .ok_or(NotSealedHere)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut text)
            .map_err(|ring::error::Unspecified| NotSealedHere)?;
        Self::read(text).ok_or(NotSealedHere)
    }

    fn write(&self) -> Vec<u8> {
        let mut text = vec![FORM];
        for number in [usize::from(self.status), self.headers.len()] {
            text.extend(word(number));
        }
        for (name, value) in &self.headers {
            for part in [name.as_bytes(), value] {
                text.extend(word(part.len()));
                text.extend(part);
            }
        }
        text.extend(&self.body);
        text
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (&[FORM], rest) = text.split_first_chunk::<1>()? else { return None };
        let (status, rest) = take_number(rest)?;
        let (fields, mut rest) = take_number(rest)?;
        let mut headers = Vec::new();
        for _ in 0..fields {
            let (name, after) = take_part(rest)?;
            let (value, after) = take_part(after)?;
            headers.push((String::from_utf8(name.to_vec()).ok()?, value.to_vec()));
            rest = after;
        }
        Some(Self { status: u16::try_from(status).ok()?, headers, body: rest.to_vec() })
    }
}

/// Encodes a length. Only a response that [`Answer::fits`] is encoded, far below the limit of 32
/// bits.
fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

fn take_number(text: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = text.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*number)).ok()?, rest))
}

fn take_part(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bytes, rest) = take_number(text)?;
    rest.split_at_checked(bytes)
}

/// The key of the responses to one token; never `None`, because the length is correct.
fn key(secret: &TokenSecret, app: &str) -> Option<LessSafeKey> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"callgate/1 answer");
    let derived = salt.extract(secret.bytes());
    let info = [app.as_bytes()];
    let key = derived.expand(&info, &aead::AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::DryEntropy;
    use crate::base::secret::entropy::SeededEntropy;

    fn secret(n: u8) -> TokenSecret {
        TokenSecret::parse(&format!("{n:032X}")).unwrap()
    }

    fn answer() -> Answer {
        let headers = vec![
            ("set-cookie".to_owned(), b"a=1".to_vec()),
            ("set-cookie".to_owned(), b"b=\xe9".to_vec()),
            ("x-empty".to_owned(), Vec::new()),
        ];
        Answer { status: 201, headers, body: b"a secret page\0".to_vec() }
    }

    #[test]
    fn an_answer_opens_with_its_own_token_and_application_only() {
        let entropy = SeededEntropy::new(3);
        let sealed = answer().seal(&secret(7), "shop", &entropy).unwrap();
        assert!(Answer::open(&sealed, &secret(7), "shop").unwrap() == answer());
        for (n, app) in [(8, "shop"), (7, "bank")] {
            assert_eq!(Answer::open(&sealed, &secret(n), app).unwrap_err(), NotSealedHere);
        }
        for at in 0..sealed.bytes().len() {
            let mut bytes = sealed.bytes().to_vec();
            bytes[at] ^= 1;
            let bent = SealedAnswer::from_bytes(bytes.clone());
            assert_eq!(Answer::open(&bent, &secret(7), "shop").unwrap_err(), NotSealedHere);
            let short = SealedAnswer::from_bytes(&bytes[..at]);
            assert_eq!(Answer::open(&short, &secret(7), "shop").unwrap_err(), NotSealedHere);
        }
    }

    #[test]
    fn a_sealed_answer_shows_nothing_and_is_never_the_same_twice() {
        let entropy = SeededEntropy::new(3);
        let sealed = || answer().seal(&secret(7), "shop", &entropy).unwrap();
        assert_ne!(sealed().bytes(), sealed().bytes());
        let shown = format!("{:?} {:?} {:?}", sealed(), sealed().bytes(), answer());
        let plain = format!("{:?}", b"secret".as_slice());
        assert!(!shown.contains("secret") && !shown.contains(plain.trim_matches(['[', ']'])));
        assert_eq!(answer().seal(&secret(7), "shop", &DryEntropy).unwrap_err(), NoEntropy);
    }

    #[test]
    fn what_is_too_large_does_not_fit() {
        let body = |bytes| Answer { body: vec![0; bytes], ..answer() };
        assert!(body(ANSWER_BODY_BYTES_MAX).fits() && !body(ANSWER_BODY_BYTES_MAX + 1).fits());
        let headers = vec![("x".to_owned(), vec![b'x'; ANSWER_HEAD_BYTES_MAX])];
        assert!(!Answer { headers, ..answer() }.fits());
    }
}
