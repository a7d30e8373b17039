//! One try to redeem a token, within what a client may try (SEC T02).

use crate::base::Confirm;
use crate::http::rates::Wait;
use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::Consent;
use crate::token::Outcome;
use crate::token::RepeatWish;
use crate::token::TokenSecret;

impl Session {
    /// Redeems what a request brought under the key of a token; `None` for something that cannot
    /// be one. What is refused counts against the client.
    pub(super) async fn attempt(
        &self,
        brought: Option<&TokenSecret>,
        consent: Consent,
        repeat: Option<RepeatWish>,
    ) -> Result<Redemption, SessionError> {
        let (client, now) = (self.errand.client, self.house.clock.now());
        if let Err(wait) = self.house.rates.may_redeem(client, now) {
            return self.attempt_of_its_own(brought, wait, repeat).await;
        }
        let redemption = match brought {
            Some(secret) => self.redeem(secret, consent, repeat).await?,
            None => Redemption::Ended(Outcome::Unknown),
        };
        if matches!(redemption, Redemption::Ended(outcome) if outcome.is_refused()) {
            self.house.rates.failed(client, now);
        }
        Ok(redemption)
    }

    /// What a client may still try that was refused too often: a token that this very browser
    /// minted. A client is an address, behind which a prober and a customer who comes back from
    /// paying may both be.
    ///
    /// Whose cookie it is only the store can tell, so that a prober who makes up a cookie is
    /// looked up, too. He learns nothing: whatever is not his own ends alike, and stays as it was.
    /// He is as fast as the limit of requests lets him be, at which nobody guesses 128 bits. To
    /// count his failures and stop asking would lock out the customer, for whom this is here.
    async fn attempt_of_its_own(
        &self,
        brought: Option<&TokenSecret>,
        wait: Wait,
        repeat: Option<RepeatWish>,
    ) -> Result<Redemption, SessionError> {
        let (Some(secret), Some(browser)) = (brought, self.browser()) else {
            return Err(SessionError::TooOften(wait));
        };
        let consent = Consent::Open {
            row: Confirm::Foreign,
            browser: Some(browser),
            signed_in: self.signed_in(),
        };
        let redemption = self.redeem(secret, consent, repeat).await?;
        match &redemption {
            Redemption::Ended(outcome) if outcome.is_restored() => Ok(redemption),
            // Whoever repeats a callback holds a token that was good.
            Redemption::Began(_) | Redemption::Repeats(..) => Ok(redemption),
            Redemption::Ended(_) | Redemption::Asks(_) => Err(SessionError::TooOften(wait)),
        }
    }
}
