//! One try to redeem a token, within what a client may try (SEC T02).

use crate::base::Confirm;
use crate::http::rates::Wait;
use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::Consent;
use crate::token::Outcome;
use crate::token::TokenSecret;

impl Session {
    /// Redeems what a request brought under the key of a token; `None` for something that cannot
    /// be one. What is refused counts against the client.
    pub(super) async fn attempt(
        &self,
        brought: Option<&TokenSecret>,
        consent: Consent,
    ) -> Result<Redemption, SessionError> {
        let (client, now) = (self.errand.client, self.house.clock.now());
        if let Err(wait) = self.house.rates.may_redeem(client, now) {
            return self.attempt_of_its_own(brought, wait).await;
        }
        let redemption = match brought {
            Some(secret) => self.redeem(secret, consent).await?,
            None => Redemption::Ended(Outcome::Unknown),
        };
        if matches!(redemption, Redemption::Ended(outcome) if outcome.is_refused()) {
            self.house.rates.failed(client, now);
        }
        Ok(redemption)
    }

    /// What a client may still try that was refused too often: a token that this very browser
    /// minted. Nothing else is asked of the store: what is not asked cannot be found out, and a
    /// flood of it costs nothing.
    async fn attempt_of_its_own(
        &self,
        brought: Option<&TokenSecret>,
        wait: Wait,
    ) -> Result<Redemption, SessionError> {
        let (Some(secret), Some(browser)) = (brought, self.browser()) else {
            return Err(SessionError::TooOften(wait));
        };
        let consent = Consent::Open {
            row: Confirm::Foreign,
            browser: Some(browser),
            signed_in: self.signed_in(),
        };
        match self.redeem(secret, consent).await? {
            Redemption::Ended(outcome) if outcome.is_restored() => Ok(Redemption::Ended(outcome)),
            _ => Err(SessionError::TooOften(wait)),
        }
    }
}
