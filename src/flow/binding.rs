//! The binding: how a browser that minted a token is recognized.

use std::sync::OnceLock;

use crate::base::Digest;
use crate::base::Entropy;
use crate::base::Secret;
use crate::base::Timestamp;
use crate::base::limits::TOKEN_LIFE_SECS_MAX;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::session::Credential;
use crate::token::TokenSecret;

/// The content of the binding cookie: a nonce of this browser, and until when it is kept.
///
/// A token holds the digest of the nonce. A browser whose request has the nonce minted the token,
/// so its user is not asked to confirm the link. The nonce opens nothing by itself. It is separate
/// from the session cookie because browsers must send it on a return from another site even where
/// the session cookie is `Strict` (docs/SECURITY.md D.4), and because it outlives a change of
/// sessions.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    nonce: Nonce,
    until: Timestamp,
}

/// The nonce of a binding, derived when it is first used: most requests never use it, and it would
/// be a sixth of what resuming a session costs.
#[derive(Debug, Clone)]
enum Nonce {
    Known(Secret<16>),
    DerivedFrom(Credential, OnceLock<Secret<16>>),
}

impl Nonce {
    fn secret(&self) -> &Secret<16> {
        match self {
            Self::Known(secret) => secret,
            Self::DerivedFrom(credential, derived) => {
                derived.get_or_init(|| credential.derived("binding"))
            }
        }
    }
}

impl Binding {
    /// A new one, for a browser that has neither a binding nor a credential.
    pub(crate) fn fresh(entropy: &dyn Entropy, until: Timestamp) -> Result<Self, NoEntropy> {
        Ok(Self { nonce: Nonce::Known(Secret::random(entropy)?), until })
    }

    /// The one of a browser that has no binding cookie, and has this credential.
    ///
    /// It is derived from the credential, so that the browser is recognized even where a token is
    /// minted after its response has begun, and where two first mints of one browser race.
    pub(crate) fn of(credential: &Credential, until: Timestamp) -> Self {
        let nonce = Nonce::DerivedFrom(credential.clone(), OnceLock::new());
        Self { nonce, until }
    }

    /// The secret of the credential that a redemption of this token gives the browser. It is
    /// derived from secrets that the browser has, so that a browser which has lost the response
    /// can be given the same credential again, and no other client can.
    pub(crate) fn newcomer(&self, secret: &TokenSecret) -> Secret<16> {
        secret.newcomer_of(self.nonce.secret())
    }

    /// The token as stored for `secret` if only this browser may redeem it.
    pub(crate) fn bound(&self, secret: &TokenSecret) -> TokenSecret {
        secret.bound_to(self.nonce.secret())
    }

    /// Parses the value of a cookie; `None` if it is malformed, or has expired at `now`.
    pub(crate) fn read(text: &str, now: Timestamp) -> Option<Self> {
        let (nonce, secs) = text.split_once('.')?;
        let nonce = Nonce::Known(Secret::new(hex::read(nonce).ok()?));
        if secs.is_empty() || !secs.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let until = Timestamp::from_millis(secs.parse::<u64>().ok()?.checked_mul(1_000)?);
        // The date is not sealed: a client that changes it only keeps its own cookie longer.
        let until = until.min(now.after_secs(TOKEN_LIFE_SECS_MAX));
        (now < until).then_some(Self { nonce, until })
    }

    /// The same nonce, kept at least until the end of another token.
    pub(crate) fn lasting(self, until: Timestamp) -> Self {
        Self { until: self.until.max(until), ..self }
    }

    /// Until when it is kept.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it is kept until then.
    pub(crate) fn lasts(&self, until: Timestamp) -> bool {
        // The cookie's date is in whole seconds.
        until.millis().div_ceil(1_000) <= self.until.millis().div_ceil(1_000)
    }

    /// The digest that a token stores.
    pub(crate) fn digest(&self, app: &str) -> Digest {
        Digest::of("binding", app, self.nonce.secret())
    }

    /// The value of the cookie.
    pub(crate) fn text(&self) -> SecretText {
        // As hex digits, so that the log masks it wherever it is quoted.
        let nonce = hex::upper(self.nonce.secret().expose());
        SecretText::new(format!("{nonce}.{}", self.until.millis().div_ceil(1_000)))
    }

    /// The `Max-Age` of the cookie, in seconds.
    pub(crate) fn max_age_secs(&self, now: Timestamp) -> u64 {
        self.until.millis().div_ceil(1_000).saturating_sub(now.millis() / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_500);

    #[test]
    fn a_binding_reads_back_what_it_writes() {
        let until = NOW.after_secs(60);
        let binding = Binding::fresh(&SeededEntropy::new(1), until).unwrap();
        let text = binding.text();
        assert_eq!(text.expose().len(), 32 + 1 + 10);
        let read = Binding::read(text.expose(), NOW).unwrap();
        assert_eq!(read.digest("shop"), binding.digest("shop"));
        assert_ne!(read.digest("shop"), binding.digest("bank"));
        assert!(read.lasts(until) && !read.lasts(until.after_secs(1)));
        assert_eq!(read.max_age_secs(NOW), 61);
        assert!(Binding::read(text.expose(), NOW.after_secs(61)).is_none());
    }

    #[test]
    fn a_shorter_token_shortens_nothing() {
        let long = Binding::fresh(&SeededEntropy::new(1), NOW.after_secs(600)).unwrap();
        let later = long.clone().lasting(NOW.after_secs(60));
        assert_eq!(later.text().expose(), long.text().expose());
        assert!(long.clone().lasting(NOW.after_secs(900)).lasts(NOW.after_secs(900)));
    }

    #[test]
    fn what_is_no_binding_is_none_and_no_date_is_beyond_a_year() {
        let nonce = "2E5D0D57751D471DB29FD110D2DCE253";
        let far = Binding::read(&format!("{nonce}.99999999999"), NOW).unwrap();
        assert!(far.max_age_secs(NOW) <= TOKEN_LIFE_SECS_MAX + 1);
        for text in ["", nonce, &format!("{nonce}."), &format!("{nonce}.+9999999999")] {
            assert!(Binding::read(text, NOW).is_none(), "{text:?}");
        }
        let huge = format!("{nonce}.18446744073709551615");
        assert!(Binding::read(&huge, NOW).is_none());
        assert!(Binding::read(&format!("{}.9999999999", &nonce[1..]), NOW).is_none());
    }
}
