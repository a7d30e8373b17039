//! Minting a token: the secret that is sent out, and the record that is stored.

use std::fmt;
use std::sync::Arc;

use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::Secret;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOKEN_HANDLERS_MAX;
use crate::base::limits::TOKEN_LIFE_SECS_MAX;
use crate::base::limits::TOKEN_LIFE_SECS_MIN;
use crate::base::secret::entropy::Entropy;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::token::Token;

/// A token in transit: 128 random bits, written as 32 upper-case hex digits (the shape of 4D's
/// tokens).
#[derive(Debug, Clone)]
pub struct TokenSecret(Secret<16>);

impl TokenSecret {
    /// A new token.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        Secret::random(entropy).map(Self)
    }

    /// Parses a token of a request; `None` for anything but 32 hex digits. Lower case is accepted,
    /// because some mail programs change the case of links.
    pub fn parse(text: &str) -> Option<Self> {
        hex::read(text).ok().map(|bytes| Self(Secret::new(bytes)))
    }

    /// The text to send. It must appear nowhere else.
    pub fn expose(&self) -> String {
        hex::upper(self.0.expose())
    }

    /// Whether both are the same token.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.digest("") == other.digest("")
    }

    /// The token under which a store knows this one if only the browser with this nonce may redeem
    /// it. Without the nonce, it cannot be computed.
    pub(crate) fn bound_to(&self, nonce: &Secret<16>) -> Self {
        Self(nonce.derived("same browser", self.0.expose()))
    }

    /// The secret of the credential that a browser with this nonce gets for this token.
    pub(crate) fn newcomer_of(&self, nonce: &Secret<16>) -> Secret<16> {
        nonce.derived("newcomer", self.0.expose())
    }

    /// The bits themselves, to derive keys from.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// The digest under which it is stored.
    pub fn digest(&self, app: &str) -> Digest {
        Digest::of("token", app, &self.0)
    }
}

/// The options of a new token (`createOTP`).
#[derive(Debug, Clone, Default)]
pub struct MintOptions {
    /// Lifespan in seconds; `None` for the session's idle timeout. Less than 10 becomes 10.
    pub lifespan_secs: Option<u64>,
    /// The handlers, as `Class.method`, that may redeem it; empty for any.
    pub handlers: Vec<Arc<str>>,
    /// What its bearer gets; `None` leaves it to the row.
    pub mode: Option<RestoreMode>,
    /// Whether a person must confirm before the token is redeemed; `None` leaves it to the row, and
    /// of two values the stricter counts. It applies to links that are opened with a GET: see
    /// [`Confirm`], and `restore` for tokens that a handler redeems itself.
    pub confirm: Option<Confirm>,
    /// Whether only the browser of the current request can redeem it. For every other caller the
    /// token does not exist.
    pub same_browser: bool,
    /// The row's own `otp.param` under which a callback URL carries the token; `None` for `$4DSID`.
    /// It has no effect on a token that travels some other way.
    pub param: Option<String>,
}

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintRefused {
    /// The operating system returned no random bytes.
    NoEntropy,
    /// The options name more handlers than a token may be bound to.
    TooManyHandlers,
}

impl fmt::Display for MintRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntropy => NoEntropy.fmt(f),
            Self::TooManyHandlers => {
                write!(f, "a token can be bound to {TOKEN_HANDLERS_MAX} handlers at most")
            }
        }
    }
}

impl std::error::Error for MintRefused {}

impl From<NoEntropy> for MintRefused {
    fn from(NoEntropy: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

impl MintOptions {
    /// The effective lifespan: the requested one within its limits, or `idle_minutes`.
    pub fn lifespan_secs(&self, idle_minutes: u32) -> u64 {
        let options = self.lifespan_secs.unwrap_or(u64::from(idle_minutes) * 60);
        options.clamp(TOKEN_LIFE_SECS_MIN, TOKEN_LIFE_SECS_MAX)
    }

    /// Makes a token for `session`: a secret to send and a record to store. It is not bound to a
    /// browser yet.
    pub(crate) fn mint(
        &self,
        entropy: &dyn Entropy,
        session: SessionId,
        app: &str,
        times: MintTimes,
    ) -> Result<(TokenSecret, Token), MintRefused> {
        if self.handlers.len() > TOKEN_HANDLERS_MAX {
            return Err(MintRefused::TooManyHandlers);
        }
        let secret = TokenSecret::random(entropy)?;
        let token = Token {
            digest: secret.digest(app),
            id: TokenId::random(entropy)?,
            session,
            minted_at: times.now,
            expires_at: times.now.after_secs(self.lifespan_secs(times.idle_minutes)),
            handlers: self.handlers.clone(),
            mode: self.mode,
            confirm: self.confirm,
            binding: None,
            // Set by the store.
            generation: 0,
            claim: None,
            run: None,
        };
        Ok((secret, token))
    }
}

/// The times that a mint depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MintTimes {
    /// The current time.
    pub(crate) now: Timestamp,
    /// The idle timeout of the session, the default lifespan of its tokens.
    pub(crate) idle_minutes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::DryEntropy;
    use crate::base::secret::entropy::SeededEntropy;

    const TIMES: MintTimes = MintTimes { now: Timestamp::from_millis(1_000), idle_minutes: 60 };

    fn mint(options: &MintOptions) -> Result<(TokenSecret, Token), MintRefused> {
        options.mint(&SeededEntropy::new(5), SessionId::from_bytes([1; 16]), "shop", TIMES)
    }

    #[test]
    fn a_token_is_32_upper_case_hex_digits_and_is_found_by_its_digest() {
        let (secret, token) = mint(&MintOptions::default()).unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), 32);
        assert!(!text.contains(|c: char| !c.is_ascii_digit() && !('A'..='F').contains(&c)));
        let read = |text: &str| TokenSecret::parse(text).unwrap().digest("shop");
        assert_eq!(read(&text), token.digest);
        assert_eq!(read(&text.to_lowercase()), token.digest);
        assert!(!format!("{token:?} {secret:?}").contains(&text));
    }

    #[test]
    fn lifespans_default_to_the_idle_timeout_and_are_at_least_ten_seconds() {
        let life = |secs| {
            let options = MintOptions { lifespan_secs: secs, ..MintOptions::default() };
            mint(&options).unwrap().1.expires_at.since(TIMES.now).as_secs()
        };
        assert_eq!(life(None), 3600);
        assert_eq!((life(Some(0)), life(Some(9)), life(Some(11))), (10, 10, 11));
        assert_eq!(life(Some(u64::MAX)), TOKEN_LIFE_SECS_MAX);
    }

    #[test]
    fn without_randomness_nothing_is_minted() {
        let session = SessionId::from_bytes([1; 16]);
        let refused = MintOptions::default().mint(&DryEntropy, session, "shop", TIMES);
        assert_eq!(refused.unwrap_err(), MintRefused::NoEntropy);
    }

    #[test]
    fn text_that_is_no_token_is_refused_without_asking_a_store() {
        for text in ["", "abc", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            assert!(TokenSecret::parse(text).is_none(), "{text:?}");
        }
    }
}
