//! The part of a session's handle that sends people away: tokens, and the addresses they travel in.

use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::MintWish;
use crate::token::mint::MintTimes;

impl Session {
    /// Mints a token that brings one later request back into this session (4D `createOTP`).
    ///
    /// What the handler has written so far is kept first, in the same step. Returns after the
    /// token is durable.
    pub async fn create_otp(&self, wish: MintWish) -> Result<String, SessionError> {
        let now = self.house.clock.now();
        let times = MintTimes { now, idle_minutes: self.idle_timeout() };
        let house = &self.house;
        let (secret, token) = wish.mint(&*house.entropy, self.id(), house.app(), times)?;
        let (id, session) = (token.id, token.session);
        self.publish(Some(token)).await?;
        tracing::debug!(event = "token.minted", token = %id, %session);
        Ok(secret.expose())
    }

    /// Mints a token and returns the absolute URL of `path` that brings it back under `$4DSID`.
    ///
    /// The URL is made as [`Session::public_url`] makes it.
    pub async fn create_callback_url(
        &self,
        path: &str,
        wish: MintWish,
    ) -> Result<String, SessionError> {
        let url = self.public_url(path)?;
        let join = if path.contains('?') { '&' } else { '?' };
        let token = self.create_otp(wish).await?;
        Ok(format!("{url}{join}$4DSID={token}"))
    }

    /// The absolute URL of a path of this site, such as the `redirect_uri` of a sign-in.
    ///
    /// It begins with the setting `public_origin`, never with anything from the request: who
    /// could choose the `Host` of a request could have the answer sent to himself.
    pub fn public_url(&self, path: &str) -> Result<String, SessionError> {
        let origin = self.house.public_origin.get().ok_or(SessionError::NoPublicOrigin)?;
        let local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
        if !local || path.contains('#') || path.chars().any(|c| c.is_control() || c == ' ') {
            let text = format!("{path:?} is not a path of this site; begin it with a single slash");
            return Err(SessionError::Refused(text));
        }
        Ok(format!("{origin}{}{path}", self.house.base_path))
    }
}
