//! One try to redeem a token, within what a client may try (SEC T02).

use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::Outcome;
use crate::token::TokenSecret;

impl Session {
    /// Redeems what a request brought under the key of a token; `None` for something that cannot
    /// be one. What is refused counts against the client.
    pub(crate) async fn attempt(
        &self,
        brought: Option<&TokenSecret>,
    ) -> Result<Outcome, SessionError> {
        self.may_attempt()?;
        let outcome = match brought {
            Some(secret) => self.redeem(secret).await?,
            None => Outcome::Unknown,
        };
        if outcome.is_refused() {
            self.house.rates.failed(self.errand.client, self.house.clock.now());
        }
        Ok(outcome)
    }

    /// A client that was refused too often is not let through to the store: what it does not ask,
    /// it cannot find out, and its flood costs nothing.
    fn may_attempt(&self) -> Result<(), SessionError> {
        let looked = self.house.rates.may_redeem(self.errand.client, self.house.clock.now());
        looked.map_err(SessionError::TooOften)
    }
}
