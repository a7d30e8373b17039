//! One try to redeem a token, counted where it was a guess (docs/SECURITY.md T02).

use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::Consent;
use crate::token::Outcome;
use crate::token::RepeatWish;
use crate::token::TokenSecret;

impl Session {
    /// Redeems what a request brought under the key of a token; `None` for something that cannot
    /// be one.
    ///
    /// The store is asked first and the limit afterwards: behind one address there may be a prober,
    /// a bank that calls back and all who read their mail. Only a token that nobody minted counts;
    /// one that is used or expired is no guess. A prober is as fast as the limit of requests lets
    /// him be, at which nobody guesses 128 bits.
    pub(super) async fn attempt(
        &self,
        brought: Option<&TokenSecret>,
        consent: Consent,
        repeat: Option<RepeatWish>,
    ) -> Result<Redemption, SessionError> {
        let redemption = match brought {
            Some(secret) => match self.redeem(secret, consent, repeat).await? {
                // It may be one that was minted for this browser alone.
                Redemption::Ended(Outcome::Unknown) => match self.bound(secret) {
                    Some(bound) => self.redeem(&bound, consent, repeat).await?,
                    None => Redemption::Ended(Outcome::Unknown),
                },
                redemption => redemption,
            },
            None => Redemption::Ended(Outcome::Unknown),
        };
        if matches!(redemption, Redemption::Ended(Outcome::Unknown)) {
            let (client, now) = (self.errand.client, self.house.clock.now());
            self.house.rates.unknown_token(client, now).map_err(SessionError::TooOften)?;
        }
        Ok(redemption)
    }
}
