//! What is stored in place of a secret: its SHA-256 digest.

use std::fmt;

use crate::base::secret::Secret;
use crate::base::text::hex;

/// The digest of one secret, bound to the kind of the secret and to the application.
///
/// A digest opens nothing: a token or a cookie cannot be computed from it, because the secrets have
/// 128 random bits (OWASP ASVS 6.5.2 asks for 112 before a plain digest is enough). It may be
/// compared, sorted and used as a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digests a secret for one purpose, such as `"token"`, of one application.
    ///
    /// The purpose and the application are part of what is digested, so a value stored for one
    /// can never be found under the other.
    pub fn of<const N: usize>(purpose: &str, app: &str, secret: &Secret<N>) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in ["callgate/1", purpose, app] {
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.update(secret.expose());
        Self::from_ring(&context.finish())
    }

    /// Digests the contents of a file, to detect a change without keeping a copy: the file may be a
    /// key.
    pub fn of_content(purpose: &str, content: &[u8]) -> Self {
        let mut sum = ring::digest::Context::new(&ring::digest::SHA256);
        sum.update(&(purpose.len() as u64).to_be_bytes());
        sum.update(purpose.as_bytes());
        sum.update(content);
        Self::from_ring(&sum.finish())
    }

    /// Restores a digest from the 32 bytes that [`Digest::bytes`] returned.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for a store.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hex digits: enough to follow one secret through a log, too few to find it.
    pub fn fingerprint(&self) -> String {
        hex::lower(self.0.first_chunk::<4>().unwrap_or(&[0; 4]))
    }

    fn from_ring(digest: &ring::digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.fingerprint())
    }
}

/// The plain SHA-256 of a public text, for protocols in which the other side computes the same.
pub(crate) fn sha256(text: &[u8]) -> [u8; 32] {
    *Digest::from_ring(&ring::digest::digest(&ring::digest::SHA256, text)).bytes()
}

/// The SHA-1 of a public text, for protocols that prescribe it. It protects no secret and proves
/// nothing.
#[cfg(feature = "redis")]
pub(crate) fn sha1(text: &[u8]) -> [u8; 20] {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purpose_and_application_keep_digests_apart() {
        let secret = Secret::new([7; 16]);
        let here = Digest::of("token", "shop", &secret);
        assert_eq!(here, Digest::of("token", "shop", &secret));
        assert_ne!(here, Digest::of("token", "bank", &secret));
        assert_ne!(here, Digest::of("credential", "shop", &secret));
        assert_ne!(Digest::of("ab", "c", &secret), Digest::of("a", "bc", &secret));
    }

    #[test]
    fn debug_shows_a_fingerprint_only() {
        let digest = Digest::of("token", "shop", &Secret::new([1; 16]));
        assert_eq!(format!("{digest:?}"), format!("Digest({})", digest.fingerprint()));
        assert_eq!(digest.fingerprint().len(), 8);
    }
}
