//! Secret values, which cannot be printed, stored or compared by accident.

pub mod digest;
pub mod entropy;

use std::fmt;

use ring::hmac;
use zeroize::Zeroize;

use crate::base::secret::entropy::{Entropy, NoEntropy, random};

/// `N` secret bytes: no `Display`, no `Serialize`, no `PartialEq`, and wiped on drop.
///
/// Code that must see the bytes calls [`Secret::expose`], which is easy to search for.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Wraps these bytes.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// A new secret.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        random(entropy).map(Self)
    }

    /// Derives a secret for one purpose from this one and some more bytes. It reveals nothing about
    /// this one.
    pub(crate) fn derived<const M: usize>(&self, purpose: &str, more: &[u8]) -> Secret<M> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(b"callgate/1 ");
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(more);
        let mut bytes = [0; M];
        bytes.iter_mut().zip(context.sign().as_ref()).for_each(|(byte, from)| *byte = *from);
        Secret(bytes)
    }

    /// The bytes themselves. No copy of them may outlive the request.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Secret text from settings, such as a key: redacted in `Debug` and wiped on drop.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps this text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new([65; 4])), "Secret(..)");
        assert_eq!(format!("{:?}", SecretText::new("AAAA".into())), "SecretText(..)");
    }
}
