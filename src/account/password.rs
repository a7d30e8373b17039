//! Passwords: how they are hashed and verified, and which ones are accepted.

use std::fmt;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::Version;
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc;

use crate::account::config::Config;
use crate::account::names::Login;
use crate::account::names::same_name;
use crate::base::Entropy;
use crate::base::secret::SecretText;
use crate::base::secret::digest::sha256;
use crate::base::secret::entropy::NoEntropy;
use crate::base::secret::entropy::random;
use crate::base::text::hex;

/// Characters of a password at most. Argon2 would take more; this bounds what a form may send.
const PASSWORD_CHARS_MAX: usize = 256;
/// Lanes of Argon2id. More would only help on a machine that has processors to spare.
const LANES: u32 = 1;
/// The costliest hash that is taken from another program.
const MEMORY_KIB_MAX: u32 = 1_048_576;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// Hashes passwords with the parameters of the settings.
#[derive(Debug, Clone)]
pub struct Hashing {
    params: Params,
    password_min: usize,
}

/// The hash of a password with its parameters and its salt, in the PHC string format. It opens
/// nothing, and yet it does not belong into a log: it can be guessed at.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a new password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPassword {
    /// Fewer characters than the settings ask for.
    TooShort(usize),
    /// More than 256 characters.
    TooLong,
    /// A control character, which few forms can send again.
    Control,
    /// The login, the e-mail address or the name of the account.
    Own,
    /// One character over and over.
    Monotonous,
}

impl fmt::Display for BadPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(min) => write!(f, "it has fewer than {min} characters"),
            Self::TooLong => write!(f, "it has more than {PASSWORD_CHARS_MAX} characters"),
            Self::Control => f.write_str("it has a control character"),
            Self::Own => f.write_str("it is the login, the address or the name of the account"),
            Self::Monotonous => f.write_str("it is one character over and over"),
        }
    }
}

impl std::error::Error for BadPassword {}

impl Hashing {
    /// Hashing with these parameters; settings outside of what Argon2 takes give its defaults.
    pub fn new(config: &Config) -> Self {
        let params = Params::new(config.memory_kib, config.passes, LANES, None);
        Self { params: params.unwrap_or_default(), password_min: config.password_min }
    }

    /// Whether a new password is accepted for this account.
    ///
    /// Length is what makes a password hard to guess; no classes of characters are asked for (NIST
    /// SP 800-63B-4 §3.1.1.2).
    pub fn accepts(
        &self,
        password: &SecretText,
        login: &Login,
        others: &[&str],
    ) -> Result<(), BadPassword> {
        let text = password.expose();
        let length = text.chars().count();
        let mut own = others.iter().copied().chain([login.as_str()]);
        let first = text.chars().next();
        match () {
            () if length < self.password_min => Err(BadPassword::TooShort(self.password_min)),
            () if length > PASSWORD_CHARS_MAX => Err(BadPassword::TooLong),
            () if text.chars().any(char::is_control) => Err(BadPassword::Control),
            () if own.any(|own| same_name(own, text)) => Err(BadPassword::Own),
            () if text.chars().all(|letter| Some(letter) == first) => Err(BadPassword::Monotonous),
            () => Ok(()),
        }
    }

    /// A salt for one hash.
    pub fn salt(entropy: &dyn Entropy) -> Result<[u8; SALT_BYTES], NoEntropy> {
        random(entropy)
    }

    /// The hash of a password. Takes tens of milliseconds and the memory of the settings: run it on
    /// a thread for such work.
    pub fn hash(&self, password: &SecretText, salt: &[u8; SALT_BYTES]) -> Option<PasswordHash> {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let hash = argon.hash_password_with_salt(password.expose().as_bytes(), salt).ok()?;
        Some(PasswordHash(hash.to_string()))
    }

    /// Whether `hash` was made with other parameters than those of the settings.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        let made_with = phc::PasswordHash::new(&hash.0).ok().filter(|hash| {
            hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
                && hash.version == Some(Version::V0x13.into())
        });
        let made_with = made_with.and_then(|hash| Params::try_from(&hash).ok());
        made_with.is_none_or(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                != (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
        })
    }
}

impl PasswordHash {
    /// A hash that another program made, such as a command of the operator or another directory:
    /// Argon2id in the PHC string format, at a cost that a node can afford.
    pub fn read(text: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let is_usable = hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.salt.is_some()
            && hash.hash.is_some()
            && params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= PASSES_MAX
            && params.p_cost() <= LANES_MAX;
        is_usable.then(|| Self(text.to_owned()))
    }

    /// A hash from a store.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The PHC string, for a store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the hash of this password. Takes as long as hashing it; the comparison takes
    /// the same time wherever two hashes differ. What is no hash is the hash of no password.
    pub fn is_of(&self, password: &SecretText) -> bool {
        phc::PasswordHash::new(&self.0).is_ok_and(|hash| {
            Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
        })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What a client sends as `hashed-password-4D` in place of a password: its SHA-256 in lower-case
/// hex digits, as 4D's `Generate digest(password; SHA256 digest)` gives it.
pub fn client_digest(password: &SecretText) -> SecretText {
    SecretText::new(hex::lower(&sha256(password.expose().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashing(memory_kib: u32, passes: u32) -> Hashing {
        Hashing::new(&Config { memory_kib, passes, ..Config::default() })
    }

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    #[test]
    fn a_hash_is_of_its_password_and_of_no_other() {
        let hash = hashing(64, 1).hash(&secret("correct horse"), &[7; 16]).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
        assert!(hash.is_of(&secret("correct horse")));
        for other in ["correct hors", "correct horse ", "Correct horse", ""] {
            assert!(!hash.is_of(&secret(other)), "{other:?}");
        }
        assert!(!PasswordHash::stored("correct horse".to_owned()).is_of(&secret("correct horse")));
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    /// From the tests of the reference implementation.
    #[test]
    fn hashes_are_those_of_the_specification() {
        let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                     CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(PasswordHash::stored(known.to_owned()).is_of(&secret("password")));
        assert!(!PasswordHash::stored(known.to_owned()).is_of(&secret("passwore")));
    }

    #[test]
    fn a_hash_with_other_parameters_is_outdated_and_still_verified() {
        let old = hashing(64, 1).hash(&secret("correct horse"), &[7; 16]).unwrap();
        assert!(!hashing(64, 1).is_outdated(&old));
        assert!(hashing(64, 2).is_outdated(&old) && hashing(128, 1).is_outdated(&old));
        assert!(old.is_of(&secret("correct horse")), "with its own parameters");
        assert!(hashing(64, 1).is_outdated(&PasswordHash::stored("$2b$10$x".to_owned())));
    }

    #[test]
    fn a_hash_of_another_program_is_taken_if_it_is_argon2id_and_affordable() {
        let own = hashing(64, 1).hash(&secret("correct horse"), &[7; 16]).unwrap();
        assert_eq!(PasswordHash::read(own.as_str()), Some(own.clone()));
        for other in [
            "correct horse".to_owned(),
            own.as_str().replace("argon2id", "argon2d"),
            own.as_str().replace("m=64", "m=4194304"),
            own.as_str().replace("t=1", "t=100000"),
            own.as_str().rsplit_once('$').unwrap().0.to_owned(),
        ] {
            assert_eq!(PasswordHash::read(&other), None, "{other}");
        }
    }

    #[test]
    fn length_is_asked_for_and_no_classes_of_characters() {
        let (login, hashing) = (Login::read("ada.lovelace").unwrap(), hashing(64, 1));
        let says = |text: &str| hashing.accepts(&secret(text), &login, &["ada@example.com"]);
        assert_eq!(says("all lower case words"), Ok(()));
        assert_eq!(says("пароль из букв"), Ok(()));
        assert_eq!(says("short"), Err(BadPassword::TooShort(8)));
        assert_eq!(says("Ada.Lovelace"), Err(BadPassword::Own));
        assert_eq!(says("ADA@example.com"), Err(BadPassword::Own));
        assert_eq!(says("aaaaaaaaaa"), Err(BadPassword::Monotonous));
        assert_eq!(says("with\na line"), Err(BadPassword::Control));
        assert_eq!(says(&"ab".repeat(129)), Err(BadPassword::TooLong));
    }

    #[test]
    fn a_client_digest_is_the_sha_256_of_the_password() {
        assert_eq!(
            client_digest(&secret("abc")).expose(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
