//! The part of a session's handle that sends people away: tokens, and the addresses they travel in.

use crate::base::Timestamp;
use crate::base::entropy::NoEntropy;
use crate::http::binding::Binding;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::token::MintWish;
use crate::token::Token;
use crate::token::mint::MintTimes;

impl Session {
    /// Mints a token that brings one later request back into this session (4D `createOTP`).
    ///
    /// What the handler has written so far is kept first, in the same step. Returns after the
    /// token is durable. The browser that asked is known again by a cookie of the answer, so that
    /// it need not be asked where the row or [`MintWish::confirm`] says `foreign`.
    pub async fn create_otp(&self, wish: MintWish) -> Result<String, SessionError> {
        let now = self.house.clock.now();
        let times = MintTimes { now, idle_minutes: self.idle_timeout() };
        let house = &self.house;
        let (secret, token) = wish.mint(&*house.entropy, self.id(), house.app(), times)?;
        let limited = house.rates.mint(self.id(), self.errand.client, now);
        limited.map_err(SessionError::TooOften)?;
        let binding = self.binding_until(token.expires_at)?;
        let digest = binding.as_ref().map(|binding| binding.digest(house.app()));
        let token = Token { binding: digest, ..token };
        let (id, session) = (token.id, token.session);
        self.publish(Some(token)).await?;
        self.bind(binding);
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
        let url = self.callback_url(path)?;
        let token = self.create_otp(wish).await?;
        Ok(url + &token)
    }

    /// The URL of [`Session::create_callback_url`] up to its token.
    pub(crate) fn callback_url(&self, path: &str) -> Result<String, SessionError> {
        let url = self.public_url(path)?;
        let join = if path.contains('?') { '&' } else { '?' };
        Ok(format!("{url}{join}$4DSID="))
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

    /// What this browser is known by until `until`, at least. A caller that must not be given a
    /// cookie, or whose own cannot be told from a planted one, cannot be known again.
    fn binding_until(&self, until: Timestamp) -> Result<Option<Binding>, NoEntropy> {
        let state = self.lock();
        match &state.binding {
            _ if state.mute || self.errand.binding_doubled => Ok(None),
            Some(held) if held.lasts(until) => Ok(Some(held.clone())),
            Some(held) => Ok(Some(held.clone().lasting(until))),
            None => Binding::fresh(&*self.house.entropy, until).map(Some),
        }
    }

    /// Gives the browser its binding with the answer, unless it holds that one already.
    fn bind(&self, binding: Option<Binding>) {
        let mut state = self.lock();
        let held = state.binding.as_ref();
        if binding.as_ref().is_some_and(|new| held.is_none_or(|held| !held.lasts(new.until()))) {
            state.binds = true;
            state.binding = binding;
        }
    }
}
