//! Minting: the tokens of a session, and the callback URLs that hold them.

pub mod capability;
pub(crate) mod link;

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::Caller;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::binding::Binding;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::token::MintOptions;
use crate::token::Token;
use crate::token::mint::MintTimes;

impl Session {
    /// Mints a token that restores this session in one later request (4D `createOTP`).
    ///
    /// The handler's writes so far are stored first, in the same step. Returns after the token is
    /// durable. A cookie in the response lets the browser be recognized, so that its user is not
    /// asked to confirm where the row or [`MintOptions::confirm`] is `foreign`.
    pub async fn create_otp(&self, options: MintOptions) -> Result<String, SessionError> {
        let now = self.sessions.clock.now();
        let times = MintTimes { now, idle_minutes: self.idle_timeout() };
        let sessions = &self.sessions;
        let (secret, token) = options.mint(&*sessions.entropy, self.id(), sessions.app(), times)?;
        self.require_named_rows(&options)?;
        let limited = sessions.rates.mint(self.id(), self.context.client, now);
        limited.map_err(SessionError::TooOften)?;
        let binding = self.binding_until(token.expires_at)?;
        let digest = binding.as_ref().map(|binding| binding.digest(sessions.app()));
        let mut token = Token { binding: digest, ..token };
        if options.same_browser {
            let text = "this caller can be given no cookie, so that it would not be known again; \
                        mint without sameBrowser, or in a request of the browser itself";
            let binding = binding.as_ref().ok_or_else(|| SessionError::Refused(text.to_owned()))?;
            token.digest = binding.bound(&secret).digest(sessions.app());
        }
        let (id, session) = (token.id, token.session);
        self.publish(Some(token)).await?;
        self.bind(binding);
        tracing::debug!(event = "token.minted", token = %id, %session);
        Ok(secret.expose())
    }

    /// Mints a token and returns the absolute URL of `path` with it: under `%244DSID`, or under
    /// the row's own parameter in [`MintOptions::param`], in front of a fragment.
    ///
    /// The URL is made as [`Session::public_url`] makes it. A path that no row matches, that no
    /// request can have, or that has a token already is refused.
    pub async fn create_callback_url(
        &self,
        path: &str,
        options: MintOptions,
    ) -> Result<String, SessionError> {
        let link = self.callback_link(path, &options)?;
        let token = self.create_otp(options).await?;
        Ok(link.with(&token))
    }

    /// Logs once that links lead to another host than the one that the browser requested, where
    /// `public_origin` is not set.
    pub(crate) fn warn_of_other_host(&self, origin: &str) {
        let host = self.context.host.as_deref();
        let own = origin.split_once("://").map_or(origin, |(_, own)| own);
        if host.is_some_and(|host| !host.eq_ignore_ascii_case(own))
            && self.sessions.guesses_origin.swap(false, Ordering::Relaxed)
        {
            let advice = "a link was made for another host than the browser asked for; set \
                          public_origin to the address that the public knows";
            tracing::warn!(event = "proxy.no_public_origin", link = own, host, "{advice}");
        }
    }

    /// The binding by which this browser is recognized at least until `until`. `None` for a client
    /// that must not be given a cookie, or whose own cannot be told from a planted one.
    fn binding_until(&self, until: Timestamp) -> Result<Option<Binding>, NoEntropy> {
        let state = self.lock();
        match &state.binding {
            _ if state.no_cookie || self.context.binding_doubled => Ok(None),
            Some(held) if held.lasts(until) => Ok(Some(held.clone())),
            Some(held) => Ok(Some(held.clone().lasting(until))),
            None => match state.credential() {
                Some(credential) => Ok(Some(Binding::of(credential, until))),
                None => Binding::fresh(&*self.sessions.entropy, until).map(Some),
            },
        }
    }

    /// The digest by which this browser is recognized for that long; `None` for a program. The
    /// response gives a binding to a browser without one, unless it must set no cookie.
    pub(crate) fn known_browser(&self, within: Duration) -> Result<Option<Digest>, NoEntropy> {
        if self.context.caller != Caller::Browser {
            return Ok(None);
        }
        let until = self.sessions.clock.now().after(within);
        let binding = self.binding_until(until)?;
        let digest = binding.as_ref().map(|binding| binding.digest(self.sessions.app()));
        self.bind(binding);
        Ok(digest)
    }

    /// Gives the browser its binding with the response, unless it has that one already.
    fn bind(&self, binding: Option<Binding>) {
        let mut state = self.lock();
        let held = state.binding.as_ref();
        if binding.as_ref().is_some_and(|new| held.is_none_or(|held| !held.lasts(new.until()))) {
            state.binds = true;
            state.binding = binding;
        }
    }
}
