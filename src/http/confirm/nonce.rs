//! The double submit: a nonce in a cookie, and its proof in the form.

use crate::base::Digest;
use crate::base::Entropy;
use crate::base::Secret;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::session::Keyring;
use crate::token::Question;

/// The secret of one browser that was shown the page.
///
/// Pages open in several windows share it where the browser sends it, so that none of them
/// invalidates the others.
#[derive(Debug, Clone)]
pub(super) struct Nonce(Secret<16>);

impl Nonce {
    pub(super) fn fresh(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        Secret::random(entropy).map(Self)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        hex::read(text).ok().map(|bytes| Self(Secret::new(bytes)))
    }

    /// The value of the cookie.
    pub(super) fn text(&self) -> SecretText {
        SecretText::new(hex::upper(self.0.expose()))
    }

    /// The proof in the form of a page about `question` and `token`.
    pub(super) fn proof(&self, keyring: &Keyring, token: &Digest, question: Question) -> String {
        hex::lower(&keyring.prove(&self.words(token, question)))
    }

    /// Whether a form has this proof. Takes the same time for any wrong proof.
    pub(super) fn proves(
        &self,
        keyring: &Keyring,
        (token, question): (&Digest, Question),
        proof: &str,
    ) -> bool {
        let Ok(proof) = hex::read::<32>(proof) else { return false };
        keyring.is_proof(&self.words(token, question), &proof)
    }

    fn words(&self, token: &Digest, question: Question) -> Vec<u8> {
        let asked = match question {
            Question::Click => b'C',
            Question::Switch => b'S',
        };
        // Parts of fixed length need no separator.
        [&[asked][..], self.0.expose(), token.bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::SeededEntropy;

    #[test]
    fn a_proof_holds_for_its_nonce_its_token_its_question_and_its_key() {
        let ring = |seed| Keyring::ephemeral("shop", &SeededEntropy::new(seed)).unwrap();
        let nonce = |seed| Nonce::fresh(&SeededEntropy::new(seed)).unwrap();
        let (token, other) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let proof = nonce(1).proof(&ring(7), &token, Question::Click);
        let holds = |nonce: Nonce, keyring, token, question| {
            nonce.proves(&keyring, (&token, question), &proof)
        };
        assert!(holds(nonce(1), ring(7), token, Question::Click));
        assert!(!holds(nonce(2), ring(7), token, Question::Click));
        assert!(!holds(nonce(1), ring(8), token, Question::Click));
        assert!(!holds(nonce(1), ring(7), other, Question::Click));
        assert!(!holds(nonce(1), ring(7), token, Question::Switch));
        for bad in ["", "0", &proof[1..], &"0".repeat(64)] {
            assert!(!nonce(1).proves(&ring(7), (&token, Question::Click), bad), "{bad:?}");
        }
        let read = Nonce::read(nonce(1).text().expose()).unwrap();
        assert!(holds(read, ring(7), token, Question::Click));
    }
}
