//! The value of a session cookie, and the keys that seal it.
//!
//! A credential contains the id of its session under a mask, so the id cannot be read from a
//! cookie, and a cookie cannot be made from an id or from anything that a store contains. Because
//! it carries a keyed MAC, forged and damaged cookies are refused before the store is accessed, and
//! a guest needs no record: the cookie alone preserves the session id.
//!
//! ```text
//!   kind 1 │ key 1 │ issued 4 │ nonce 16 │ id xor mask(nonce) 16 │ mac 32     base64url, 94 letters
//! ```

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::base::Digest;
use crate::base::Secret;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::GUEST_WINDOW;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::Entropy;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;

const SEALED_BYTES: usize = 70;
const MAC_BYTES: usize = 32;
/// How long an operator credential is valid, and the largest accepted difference between the clocks
/// of client and gate.
pub const OPERATOR_FRESH: Duration = Duration::from_mins(1);
/// Length of a sealed credential: 70 bytes in base64url without padding.
pub const SEALED_LETTERS: usize = 94;

/// What a browser presents to open a session.
#[derive(Debug, Clone)]
pub struct Credential {
    session: SessionId,
    kind: CredentialKind,
    issued_at: Timestamp,
    nonce: Secret<16>,
}

/// Whether the credential is valid only if the session exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CredentialKind {
    /// Issued to a new visitor; the first write creates the session.
    Guest,
    /// Issued to a browser that joined an existing session.
    Member,
}

impl Credential {
    /// A credential for a visitor without a stored session.
    pub fn guest(entropy: &dyn Entropy, now: Timestamp) -> Result<Self, NoEntropy> {
        let session = SessionId::random(entropy)?;
        Ok(Self {
            session,
            kind: CredentialKind::Guest,
            issued_at: now,
            nonce: Secret::random(entropy)?,
        })
    }

    /// The secret part of a credential whose session is not known yet, as when a token is about to
    /// be redeemed.
    pub fn nonce(entropy: &dyn Entropy) -> Result<Secret<16>, NoEntropy> {
        Secret::random(entropy)
    }

    /// A credential for a browser that joins `session`.
    pub fn member(session: SessionId, nonce: Secret<16>, now: Timestamp) -> Self {
        Self { session, kind: CredentialKind::Member, issued_at: now, nonce }
    }

    /// The session it names.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The digest that the session's record stores in place of the credential.
    pub fn digest(&self, app: &str) -> Digest {
        Digest::of("credential", app, &self.nonce)
    }

    /// A secret derived from this credential, which opens nothing.
    pub(crate) fn derived(&self, purpose: &str) -> Secret<16> {
        self.nonce.derived(purpose, &[])
    }

    /// Whether it may create its session at `now`, provided the store does not know the session.
    ///
    /// It may during the guest window only: an ended session is remembered for longer than that, so
    /// an old cookie can never bring an ended id back.
    pub fn may_found(&self, now: Timestamp) -> bool {
        self.kind == CredentialKind::Guest && now.since(self.issued_at) < GUEST_WINDOW
    }

    /// Whether it belongs to a guest, and may be issued before anything is stored.
    pub fn is_guest(&self) -> bool {
        self.kind == CredentialKind::Guest
    }

    /// The same credential with a new date. A guest that stores nothing gets one with a request in
    /// the second half of the guest window.
    pub fn renewed(&self, now: Timestamp) -> Option<Self> {
        let due = now.since(self.issued_at) >= GUEST_WINDOW / 2;
        (due && self.may_found(now)).then(|| Self { issued_at: now, ..self.clone() })
    }
}

/// The keys that seal credentials: the first one seals, any of them opens.
pub struct Keyring {
    keys: Vec<KeySet>,
    app: String,
}

struct KeySet {
    /// Identifies the key in a cookie; not secret.
    tag: u8,
    mac: hmac::Key,
    mask: hmac::Key,
    proof: hmac::Key,
    operator: hmac::Key,
}

/// A key is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    /// There is no key.
    Missing,
    /// The key is not 32 bytes in base64url or 64 hex digits.
    Malformed,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no key is given",
            Self::Malformed => {
                "a key must be 64 hex digits (32 random bytes); make one with: openssl rand -hex 32"
            }
        })
    }
}

impl std::error::Error for BadKey {}

impl Keyring {
    /// Reads keys of 64 hex digits for one application. To rotate, put a new key in front, and
    /// remove the old one when its cookies may end.
    pub fn read(app: &str, texts: &[SecretText]) -> Result<Self, BadKey> {
        let keys: Vec<KeySet> =
            texts.iter().map(|text| KeySet::read(text, app)).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(BadKey::Missing);
        }
        Ok(Self { keys, app: app.to_owned() })
    }

    /// A keyring of one new random key: every cookie ends with the process.
    pub fn ephemeral(app: &str, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let keys = vec![KeySet::new(&Secret::random(entropy)?, app)];
        Ok(Self { keys, app: app.to_owned() })
    }

    /// The text of a new key, for a key file.
    pub fn fresh_key(entropy: &dyn Entropy) -> Result<SecretText, NoEntropy> {
        let secret: Secret<32> = Secret::random(entropy)?;
        Ok(SecretText::new(hex::lower(secret.expose())))
    }

    /// The application that credentials are made for.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// A MAC of these bytes by this keyring; for forms, not for cookies.
    pub fn prove(&self, words: &[u8]) -> [u8; 32] {
        let mut proof = [0; MAC_BYTES];
        if let Some(key) = self.keys.first() {
            proof.copy_from_slice(hmac::sign(&key.proof, words).as_ref());
        }
        proof
    }

    /// Whether one of the keys made this MAC of these bytes. Compares in constant time.
    pub fn is_proof(&self, words: &[u8], proof: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| hmac::verify(&key.proof, words, proof).is_ok())
    }

    /// The operator credential for one request, a method and a target: the time in milliseconds, a
    /// dot, and 64 hex digits, a MAC with the first key.
    ///
    /// It is valid for this request only, and for [`OPERATOR_FRESH`]. An attacker that obtains it,
    /// such as a program that listens on the port of a stopped server, can repeat the same request
    /// within that time, and nothing else.
    pub fn operator(&self, (method, target): (&str, &str), now: Timestamp) -> SecretText {
        let words = operator_words(method, target, now.millis());
        let sign = |key: &KeySet| hex::lower(hmac::sign(&key.operator, words.as_bytes()).as_ref());
        let mac = self.keys.first().map(sign).unwrap_or_default();
        SecretText::new(format!("{}.{mac}", now.millis()))
    }

    /// Whether this is the credential that [`Keyring::operator`] makes for the same request with
    /// the same first key. Compares in constant time.
    pub fn admits_operator(
        &self,
        (method, target): (&str, &str),
        now: Timestamp,
        shown: &str,
    ) -> bool {
        let Some((moment, mac)) = shown.split_once('.') else { return false };
        let (Ok(millis), Ok(mac)) = (moment.parse(), hex::read::<MAC_BYTES>(mac)) else {
            return false;
        };
        let at = Timestamp::from_millis(millis);
        let words = operator_words(method, target, millis);
        let holds = |key: &KeySet| hmac::verify(&key.operator, words.as_bytes(), &mac).is_ok();
        // One of the two spans is zero: `since` of a later time is zero.
        let is_fresh = now.since(at).max(at.since(now)) <= OPERATOR_FRESH;
        is_fresh && self.keys.first().is_some_and(holds)
    }

    /// The cookie value of a credential.
    pub fn seal(&self, credential: &Credential) -> SecretText {
        let Some(key) = self.keys.first() else { return SecretText::new(String::new()) };
        let kind = match credential.kind {
            CredentialKind::Guest => b'G',
            CredentialKind::Member => b'M',
        };
        // Whole seconds since the epoch fit 32 bits until 2106.
        let issued = u32::try_from(credential.issued_at.millis() / 1000).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(SEALED_BYTES);
        bytes.extend([kind, key.tag]);
        bytes.extend(issued.to_be_bytes());
        bytes.extend(credential.nonce.expose());
        bytes.extend(key.masked(credential.nonce.expose(), credential.session.bytes()));
        bytes.extend(hmac::sign(&key.mac, &bytes).as_ref());
        SecretText::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The credential of a cookie value; `None` if it was not sealed here, or with a key that has
    /// been removed.
    pub fn open(&self, text: &str) -> Option<Credential> {
        if text.len() != SEALED_LETTERS {
            return None;
        }
        let mut bytes = [0_u8; SEALED_BYTES];
        URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let (&[kind, tag], rest) = signed.split_first_chunk::<2>()?;
        let (issued, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, rest) = rest.split_first_chunk::<16>()?;
        let (masked, _) = rest.split_first_chunk::<16>()?;
        let kind = match kind {
            b'G' => CredentialKind::Guest,
            b'M' => CredentialKind::Member,
            _ => return None,
        };
        let holds = |key: &&KeySet| key.tag == tag && hmac::verify(&key.mac, signed, mac).is_ok();
        let key = self.keys.iter().find(holds)?;
        Some(Credential {
            session: SessionId::from_bytes(key.masked(nonce, masked)),
            kind,
            issued_at: Timestamp::from_millis(u64::from(u32::from_be_bytes(*issued)) * 1000),
            nonce: Secret::new(*nonce),
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys for {:?})", self.keys.len(), self.app)
    }
}

impl KeySet {
    fn read(text: &SecretText, app: &str) -> Result<Self, BadKey> {
        let bytes = hex::read(text.expose().trim()).map_err(|_| BadKey::Malformed)?;
        Ok(Self::new(&Secret::new(bytes), app))
    }

    /// Derives independent keys from one secret, for one application: for cookies, for the mask of
    /// ids in them, for forms, and for operators.
    fn new(secret: &Secret<32>, app: &str) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let derive =
            |purpose: &str| hmac::sign(&root, format!("callgate/1 {purpose} {app}").as_bytes());
        let key = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, derive(purpose).as_ref());
        let tag = derive("tag").as_ref().first().copied().unwrap_or(0);
        let (mac, mask) = (key("mac"), key("mask"));
        Self { tag, mac, mask, proof: key("proof"), operator: key("operator") }
    }

    /// Masks an id, or unmasks it: the operation is its own inverse.
    fn masked(&self, nonce: &[u8; 16], id: &[u8; 16]) -> [u8; 16] {
        let mask = hmac::sign(&self.mask, nonce);
        let mut out = *id;
        for (byte, mask) in out.iter_mut().zip(mask.as_ref()) {
            *byte ^= mask;
        }
        out
    }
}

/// The text that is authenticated for an operator.
fn operator_words(method: &str, target: &str, millis: u64) -> String {
    format!("callgate/1 operator {millis} {method} {target}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::DryEntropy;
    use crate::base::secret::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn ring(seed: u64) -> Keyring {
        Keyring::ephemeral("shop", &SeededEntropy::new(seed)).unwrap()
    }

    fn guest() -> Credential {
        Credential::guest(&SeededEntropy::new(9), NOW).unwrap()
    }

    #[test]
    fn the_operator_is_who_holds_the_first_key() {
        let key = |digit: &str| SecretText::new(digit.repeat(64));
        let ring = |app: &str, keys: &[SecretText]| Keyring::read(app, keys).unwrap();
        let shop = ring("shop", &[key("a"), key("b")]);
        let asked = ("GET", "/sessions?limit=1");
        let shown = |ring: &Keyring| ring.operator(asked, NOW).expose().to_owned();
        let admits = |shown: &str| shop.admits_operator(asked, NOW, shown);
        assert!(admits(&shown(&ring("shop", &[key("a")]))));
        assert!(!admits(&shown(&ring("shop", &[key("b"), key("a")]))));
        assert!(!admits(&shown(&ring("bank", &[key("a")]))));
        let right = shown(&shop);
        let mac = right.split_once('.').unwrap().1;
        for other in
            ["", ".", mac, &right[..right.len() - 2], &format!("0.{mac}"), &format!(".{mac}")]
        {
            assert!(!admits(other), "{other}");
        }
    }

    #[test]
    fn what_an_operator_shows_is_good_for_one_request_and_a_minute() {
        let shop = Keyring::read("shop", &[SecretText::new("a".repeat(64))]).unwrap();
        let asked = ("DELETE", "/tokens/0123456789ABCDEF");
        let right = shop.operator(asked, NOW);
        let admits = |asked, now| shop.admits_operator(asked, now, right.expose());
        assert!(admits(asked, NOW) && admits(asked, NOW.after(OPERATOR_FRESH)));
        assert!(!admits(asked, NOW.after(OPERATOR_FRESH + Duration::from_millis(1))));
        let early = Timestamp::from_millis(NOW.millis() - 60_001);
        assert!(!admits(asked, early) && admits(asked, early.after(Duration::from_millis(1))));
        for other in [("GET", asked.1), ("DELETE", "/tokens/0123456789ABCDEE"), ("DELETE", "/")] {
            assert!(!admits(other, NOW), "{other:?}");
        }
    }

    #[test]
    fn a_sealed_credential_opens_to_the_same_session() {
        let (ring, guest) = (ring(1), guest());
        let sealed = ring.seal(&guest);
        assert_eq!(sealed.expose().len(), SEALED_LETTERS);
        let opened = ring.open(sealed.expose()).unwrap();
        assert_eq!(opened.session(), guest.session());
        assert_eq!(opened.digest("shop"), guest.digest("shop"));
        assert!(opened.may_found(NOW));
    }

    #[test]
    fn no_letter_of_a_cookie_can_be_changed() {
        let ring = ring(1);
        let sealed = ring.seal(&guest());
        for at in 0..SEALED_LETTERS {
            for letter in [b'A', b'_', b'7'] {
                let mut forged = sealed.expose().as_bytes().to_vec();
                if forged[at] == letter {
                    continue;
                }
                forged[at] = letter;
                assert!(ring.open(std::str::from_utf8(&forged).unwrap()).is_none(), "letter {at}");
            }
        }
        for text in ["", "x", &"A".repeat(SEALED_LETTERS), &"é".repeat(47)] {
            assert!(ring.open(text).is_none());
        }
    }

    #[test]
    fn the_id_cannot_be_read_off_the_cookie() {
        let (ring, guest) = (ring(1), guest());
        let bytes = URL_SAFE_NO_PAD.decode(ring.seal(&guest).expose()).unwrap();
        assert!(!bytes.windows(4).any(|part| guest.session().bytes().starts_with(part)));
    }

    #[test]
    fn an_old_key_still_opens_and_a_dropped_key_does_not() {
        let texts: Vec<_> =
            (1..3).map(|n| Keyring::fresh_key(&SeededEntropy::new(n)).unwrap()).collect();
        let old = Keyring::read("shop", &texts[..1]).unwrap();
        let sealed = old.seal(&guest());
        let both = Keyring::read("shop", &[texts[1].clone(), texts[0].clone()]).unwrap();
        assert!(both.open(sealed.expose()).is_some());
        let new = Keyring::read("shop", &texts[1..]).unwrap();
        assert!(new.open(sealed.expose()).is_none());
        assert!(old.open(both.seal(&guest()).expose()).is_none(), "the first key seals");
    }

    #[test]
    fn a_cookie_of_another_application_does_not_open() {
        let texts = [Keyring::fresh_key(&SeededEntropy::new(1)).unwrap()];
        let shop = Keyring::read("shop", &texts).unwrap();
        let bank = Keyring::read("bank", &texts).unwrap();
        assert!(bank.open(shop.seal(&guest()).expose()).is_none());
    }

    #[test]
    fn a_guest_may_found_a_session_for_an_hour_and_renews_his_window() {
        let guest = guest();
        assert!(guest.renewed(NOW.after_secs(1799)).is_none());
        let renewed = guest.renewed(NOW.after_secs(1800)).unwrap();
        assert_eq!(renewed.session(), guest.session());
        assert!(!guest.may_found(NOW.after_secs(3600)));
        assert!(renewed.may_found(NOW.after_secs(3600)));
        assert!(guest.renewed(NOW.after_secs(3600)).is_none());
        let member = Credential::member(guest.session(), Secret::new([0; 16]), NOW);
        assert!(!member.may_found(NOW));
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        let bad = |text: &str| Keyring::read("a", &[SecretText::new(text.into())]).unwrap_err();
        assert_eq!(bad("short"), BadKey::Malformed);
        assert_eq!(Keyring::read("a", &[]).unwrap_err(), BadKey::Missing);
        assert_eq!(format!("{:?}", ring(1)), "Keyring(1 keys for \"shop\")");
        assert!(Keyring::fresh_key(&DryEntropy).is_err());
    }
}
