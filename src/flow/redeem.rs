//! The redemption of one token by one request.
//!
//! ```text
//! the phase redeem (Session::redeem, Session::redeem_callback), or Session::restore
//!   └─ attempt                the token, or the one that is bound to this browser; counts guesses
//!       └─ redeem_one         makes the claim, and applies a grant to the request
//!           └─ claim          calls the store, and retries where its reply was lost
//!               └─ Store::redeem
//! ```
//!
//! The rule by which a store decides is [`Token::judge`](crate::token::Token::judge).

use std::sync::Arc;
use std::time::Duration;

use crate::base::Caller;
use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::Secret;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::CLAIM_RETRY_WINDOW;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::retry::retry_lost;
use crate::flow::session::Bound;
use crate::flow::session::HeldBy;
use crate::flow::session::RestoreOptions;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::session::Credential;
use crate::session::Right;
use crate::store::StoreError;
use crate::store::port::Claim;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Grant;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::token::AnswerRight;
use crate::token::Consent;
use crate::token::Outcome;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::ReplayOptions;
use crate::token::TokenSecret;
use crate::token::text::token_in;

/// How long after a lost response the browser may request its credential again.
const REGRANT_WITHIN: Duration = Duration::from_mins(1);

/// The result of a redemption.
pub(crate) enum Redemption {
    /// It ended, with this outcome for the handler.
    Ended(Outcome),
    /// Consent is required first.
    Asks(Question),
}

/// The result of a redemption by a callback that may be repeated.
pub(crate) enum CallbackRedemption {
    /// The request works in the session, and its response is kept for repeats: this claim on this
    /// token must be concluded.
    Granted(ClaimId, TokenSecret),
    /// It repeats a callback of this token that was won at this time.
    Repeats(Timestamp, Repeat, TokenSecret),
    /// The token grants nothing.
    Refused(Redemption),
}

impl CallbackRedemption {
    /// The result for a request without repeats.
    fn plain(self) -> Redemption {
        match self {
            Self::Granted(..) => Redemption::Ended(Outcome::Restored),
            Self::Repeats(at, ..) => Redemption::Ended(Outcome::Used { at }),
            Self::Refused(redemption) => redemption,
        }
    }

    const fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(Redemption::Ended(Outcome::Unknown)))
    }
}

impl From<Outcome> for CallbackRedemption {
    fn from(outcome: Outcome) -> Self {
        Self::Refused(Redemption::Ended(outcome))
    }
}

impl Session {
    /// Redeems a token that arrived by other means than `$4DSID` (4D `restore`).
    ///
    /// [`Outcome::Restored`]: from now on this is the session that minted it. With any other outcome
    /// nothing has changed. Earlier writes stay with the session that they were written to. A
    /// request that only reads (HEAD, OPTIONS, prefetch) redeems nothing: [`Outcome::Absent`].
    ///
    /// [`Outcome::AskFirst`]: the user must consent first, and the token remains unspent:
    ///
    /// - the browser is signed in to another session. Otherwise an attacker could make a signed-in
    ///   user open a link and continue in the attacker's session (RFC 9700 §4.7). A handler that
    ///   has obtained the consent uses [`Session::restore_with`];
    /// - the token was minted with [`Confirm::Foreign`] and arrives in a GET of a browser that did
    ///   not mint it, or it was minted with [`Confirm::Always`]. The confirmation page is served
    ///   for links, before a handler runs. A handler that expects such tokens takes them in a
    ///   POST.
    ///
    /// The row's own `confirm` has no effect here.
    ///
    /// [`Confirm::Foreign`]: crate::base::Confirm::Foreign
    /// [`Confirm::Always`]: crate::base::Confirm::Always
    pub async fn restore(&self, token: &str) -> Result<Outcome, SessionError> {
        self.restore_with(token, RestoreOptions::default()).await
    }

    /// The same with options.
    pub async fn restore_with(
        &self,
        token: &str,
        options: RestoreOptions,
    ) -> Result<Outcome, SessionError> {
        self.lock().restore_outcome.get_or_insert_default();
        let token = token_in(token);
        let consent = self.consent_of_handler(options.switch);
        let outcome = if !self.context.may_redeem {
            Outcome::Absent
        } else if let Redemption::Ended(outcome) =
            self.attempt(token.as_ref(), (consent, None)).await?.plain()
        {
            outcome
        } else {
            let fingerprint = token.map(|token| token.digest(self.sessions.app()).fingerprint());
            let fingerprint = fingerprint.map(tracing::field::display);
            tracing::warn!(event = "token.restore_unconfirmed", fingerprint);
            Outcome::AskFirst
        };
        self.lock().restore_outcome = Some(outcome);
        Ok(outcome)
    }

    /// Redeems the token in the request itself, or determines why it cannot be redeemed. The token is
    /// `None` if its value cannot be one.
    pub(crate) async fn redeem(
        &self,
        token: Option<&TokenSecret>,
    ) -> Result<Redemption, SessionError> {
        let consent = self.consent_to(token);
        Ok(self.attempt(token, (consent, None)).await?.plain())
    }

    /// The same on a row that keeps responses for repeats.
    pub(crate) async fn redeem_callback(
        &self,
        token: &TokenSecret,
        repeat: ReplayOptions,
    ) -> Result<CallbackRedemption, SessionError> {
        let token = Some(token);
        self.attempt(token, (self.consent_to(token), Some(repeat))).await
    }

    /// The store is queried before the limit is applied, because one address may be shared by a
    /// prober, a bank that calls back, and everyone who reads mail there. Only a token that was
    /// never minted counts; a used or expired one is no guess (docs/SECURITY.md T02). A prober is
    /// bound by the limit of requests, at which 128 bits cannot be guessed.
    async fn attempt(
        &self,
        token: Option<&TokenSecret>,
        how: (Consent, Option<ReplayOptions>),
    ) -> Result<CallbackRedemption, SessionError> {
        self.refuse_if_off()?;
        let mut redemption = Outcome::Unknown.into();
        if let Some(token) = token {
            redemption = self.redeem_one(token, how).await?;
            // It may be one that was minted for this browser alone.
            if redemption.is_unknown()
                && let Some(binding) = &self.context.binding
            {
                redemption = self.redeem_one(&binding.bound(token), how).await?;
            }
        }
        if redemption.is_unknown() {
            let (client, now) = (self.context.client, self.sessions.clock.now());
            self.sessions.rates.unknown_token(client, now).map_err(SessionError::TooOften)?;
        }
        Ok(redemption)
    }

    /// The session in which the browser is signed in at present, or will be once the handler's
    /// writes are stored.
    pub(super) fn signed_in(&self) -> Option<SessionId> {
        let state = self.lock();
        state.access().known.then(|| state.id())
    }

    async fn redeem_one(
        &self,
        secret: &TokenSecret,
        (consent, repeat): (Consent, Option<ReplayOptions>),
    ) -> Result<CallbackRedemption, SessionError> {
        self.publish(None).await?;
        let sessions = &self.sessions;
        // A grant changes the right under which the request works.
        let _right = self.request.lock_right().await;
        let now = sessions.clock.now();
        let nonce = self.newcomer(secret)?;
        let claim = Claim { repeat, ..self.claim_for(secret, &nonce, consent)? };
        let (fingerprint, id) = (claim.token.fingerprint(), claim.id);
        let token = claim.token;
        let claimed = match self.claim(now, claim).await {
            Err(StoreError::Unreachable(cause)) if repeat.is_some() => {
                self.give_back(token, id).await;
                return Err(StoreError::Unreachable(cause).into());
            }
            claimed => claimed?,
        };
        let outcome = match claimed {
            Redeemed::Granted(grant) => {
                tracing::info!(event = "token.redeemed", token = %grant.token,
                    session = %grant.opened.record.id, mode = %grant.mode);
                if let Some(device) = grant.put_out {
                    tracing::info!(event = "session.device_displaced", %device,
                        session = %grant.opened.record.id);
                }
                let credential = Credential::member(grant.opened.record.id, nonce, now);
                self.enter(grant, credential);
                return Ok(CallbackRedemption::Granted(id, secret.clone()));
            }
            Redeemed::TakenOver(grant) => {
                tracing::warn!(event = "token.taken_over", token = %grant.token,
                    session = %grant.opened.record.id);
                let credential = Credential::member(grant.opened.record.id, nonce, now);
                self.enter(grant, credential);
                return Ok(CallbackRedemption::Granted(id, secret.clone()));
            }
            Redeemed::Repeats(first, repeat) => {
                if repeat == Repeat::Differs {
                    tracing::warn!(event = "token.repeat_differs", %fingerprint, first_used = %first);
                }
                return Ok(CallbackRedemption::Repeats(first, repeat, secret.clone()));
            }
            Redeemed::Used(at, session) => {
                tracing::warn!(event = "token.replay", %fingerprint, first_used = %at);
                if now.since(at) < REGRANT_WITHIN && self.may_return(session, consent) {
                    let credential = Credential::member(session, nonce, now);
                    self.regrant(now, credential).await?;
                }
                Outcome::Used { at }
            }
            Redeemed::Expired => Outcome::Expired,
            Redeemed::Unknown => Outcome::Unknown,
            Redeemed::SessionGone => Outcome::SessionGone,
            Redeemed::EndedBySignIn => Outcome::EndedBySignIn,
            Redeemed::WrongHandler => Outcome::WrongHandler,
            Redeemed::AskFirst(question) => {
                tracing::info!(event = "token.asked", %fingerprint, ?question);
                return Ok(CallbackRedemption::Refused(Redemption::Asks(question)));
            }
        };
        Ok(outcome.into())
    }

    /// The secret of the credential that the browser gets if the token is granted.
    fn newcomer(&self, secret: &TokenSecret) -> Result<Secret<16>, NoEntropy> {
        // Also one that this response gives the browser, which then retries with it.
        match &self.lock().binding {
            Some(binding) => Ok(binding.newcomer(secret)),
            None => Credential::nonce(&*self.sessions.entropy),
        }
    }

    fn claim_for(
        &self,
        secret: &TokenSecret,
        nonce: &Secret<16>,
        consent: Consent,
    ) -> Result<Claim, SessionError> {
        let (sessions, context) = (&self.sessions, &self.context);
        let current = match &self.lock().bound {
            Bound::Open { opened, entry: HeldBy::Credential(credential) } => {
                Some((opened.record.id, credential.digest(sessions.app())))
            }
            _ => None,
        };
        let digest = Digest::of("credential", sessions.app(), nonce);
        Ok(Claim {
            token: secret.digest(sessions.app()),
            id: ClaimId::random(&*sessions.entropy)?,
            handler: Arc::clone(&context.handler),
            row_mode: context.row_mode,
            caller: context.caller,
            consent,
            current,
            newcomer: sessions.device(digest, &context.label, sessions.clock.now())?,
            repeat: None,
        })
    }

    /// Asks the store, and once more under the same claim id when its reply was lost: the store
    /// knows the attempt again, so this cannot become a second redemption.
    async fn claim(&self, now: Timestamp, claim: Claim) -> Result<Redeemed, StoreError> {
        failpoint::reached(Place::BeforeClaim)?;
        let claimed = retry_lost(|| self.sessions.store.redeem(now, claim.clone())).await;
        failpoint::reached(Place::AfterClaim)?;
        claimed
    }

    /// Lets a repeat run the handler, after a claim whose outcome is unknown. If this does not
    /// reach the store, the run counts as cut off once its time is over.
    async fn give_back(&self, token: Digest, run: ClaimId) {
        let conclusion = Conclusion { token, run, ending: Ending::NotStarted };
        let store = &self.sessions.store;
        let told = store.conclude(self.sessions.clock.now(), conclusion);
        let _ = tokio::time::timeout(CLAIM_RETRY_WINDOW, told).await;
    }

    /// Whether the browser may be given its credential a second time: it is recognized by its
    /// binding, and is not signed in to another session.
    fn may_return(&self, session: SessionId, consent: Consent) -> bool {
        let elsewhere = self.signed_in().is_some_and(|own| own != session);
        self.context.binding.is_some() && (!elsewhere || consent == Consent::Given)
    }

    /// Gives a browser that has lost the response to its redemption the same credential again, if
    /// the session still knows it. Nothing is redeemed: the outcome is `used`.
    async fn regrant(&self, now: Timestamp, credential: Credential) -> Result<(), SessionError> {
        if self.lock().id() == credential.session() {
            return Ok(());
        }
        let digest = credential.digest(self.sessions.app());
        let resumed = self.sessions.store.resume(now, credential.session(), digest).await?;
        if let Resumed::Open(opened) = resumed {
            tracing::info!(event = "token.granted_again", session = %opened.record.id);
            let mut state = self.lock();
            state.no_cookie = false;
            state.regranted = true;
            state.give(credential.clone());
            state.bound = Bound::Open { opened, entry: HeldBy::Credential(credential) };
        }
        Ok(())
    }

    /// Whether the browser was given its credential a second time.
    pub(crate) fn was_regranted(&self) -> bool {
        self.lock().regranted
    }

    /// The right on which the response to a redemption of a token of `session` depends, if it is
    /// given again: that of a browser that still works there. `None` for a program, to which it
    /// only acknowledges a delivery, and where the handler itself has left the session.
    pub(crate) fn answer_right(&self, session: SessionId) -> Option<AnswerRight> {
        if self.context.caller != Caller::Browser {
            return None;
        }
        match self.working() {
            (id, Right::Credential(digest)) if id == session => {
                Some(AnswerRight::Credential(digest))
            }
            (id, Right::Grant { generation }) if id == session => {
                Some(AnswerRight::Grant { generation })
            }
            _ => None,
        }
    }

    /// Moves the request into the session that a token opened.
    fn enter(&self, grant: Grant, newcomer: Credential) {
        if grant.mode == RestoreMode::Transfer || grant.put_out.is_some() {
            self.sessions.watchers.wake(grant.opened.record.id);
        }
        let mut state = self.lock();
        let own = state.credential().cloned();
        let entry = match (grant.mode, grant.joined, own) {
            (RestoreMode::Context, ..) => {
                // The client works in the session and is given nothing that could open it.
                state.no_cookie = true;
                let generation = grant.opened.record.generation;
                HeldBy::Context { generation, automatic: grant.automatic }
            }
            // The browser is in this session already and keeps its credential.
            (_, false, Some(own)) => HeldBy::Credential(own),
            (_, true, _) | (_, false, None) => {
                state.no_cookie = false;
                state.give(newcomer.clone());
                HeldBy::Credential(newcomer)
            }
        };
        state.bound = Bound::Open { opened: grant.opened, entry };
    }
}
