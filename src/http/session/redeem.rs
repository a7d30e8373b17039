//! The part of a session's handle that gets people back: redeeming a token, asked for or not.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ClaimId;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::Secret;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::entropy::NoEntropy;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::CLAIM_RETRY_WINDOW;
use crate::http::confirm::Agreement;
use crate::http::damage::token_in;
use crate::http::session::Entry;
use crate::http::session::Session;
use crate::http::session::SessionError;
use crate::http::session::Standing;
use crate::http::session::state::LetIn;
use crate::session::Credential;
use crate::store::StoreError;
use crate::store::port::Claim;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Grant;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::token::Consent;
use crate::token::Outcome;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::RepeatWish;
use crate::token::TokenSecret;

/// How long a browser that has lost the response to its redemption may come for it again.
const REGRANT_WITHIN: Duration = Duration::from_mins(1);

/// What a handler says about a token that it gives to [`Session::restore_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// Leaves the session in which the browser is signed in, if it is another one. The handler
    /// has seen to it that the person wants this.
    pub switch: bool,
}

/// How an attempt to redeem a token ended, or why it has not.
pub(crate) enum Redemption {
    /// As the handler may ask.
    Ended(Outcome),
    /// A person must be asked first.
    Asks(Question),
    /// The request works in the session, and holds the run of this claim on this token: it must be
    /// concluded.
    Began(ClaimId, TokenSecret),
    /// It repeats the callback of this token that won at this moment.
    Repeats(Timestamp, Repeat, TokenSecret),
}

impl Session {
    /// Redeems a token that came some other way than under `$4DSID` (4D `restore`).
    ///
    /// True: from now on this is the session that minted it. False: nothing has changed, and
    /// [`Session::restore_outcome`] tells why. What was written before stays with the session
    /// that it was written to. A request that only looks (HEAD, OPTIONS, prefetch) redeems
    /// nothing: false, with the outcome `absent`.
    ///
    /// False with the outcome `askFirst`, and the token unspent, where a person must agree first:
    ///
    /// - the browser is signed in to another session. Otherwise anybody could have a signed-in
    ///   person open a link and work on in a session of his (RFC 9700 §4.7). A handler that has
    ///   asked says so with [`Session::restore_with`];
    /// - the token was minted with [`Confirm::Foreign`] and a GET brings it from a browser that did
    ///   not mint it, or with [`Confirm::Always`]. The page that asks is served for links, before
    ///   a handler runs; a handler that wants such tokens takes them in a POST.
    ///
    /// The row's own `confirm` is not looked at.
    ///
    /// [`Confirm::Foreign`]: crate::base::Confirm::Foreign
    /// [`Confirm::Always`]: crate::base::Confirm::Always
    pub async fn restore(&self, token: &str) -> Result<bool, SessionError> {
        self.restore_with(token, RestoreOptions::default()).await
    }

    /// The same with options.
    pub async fn restore_with(
        &self,
        token: &str,
        options: RestoreOptions,
    ) -> Result<bool, SessionError> {
        self.lock().saw_token = true;
        let signed_in = if options.switch { None } else { self.signed_in() };
        let consent = match self.errand.agreement {
            Agreement::Sent => Consent::Clicked { signed_in },
            Agreement::Opened | Agreement::Clicked(..) | Agreement::Stale => {
                Consent::Open { row: Confirm::Never, browser: self.browser(), signed_in }
            }
        };
        let secret = token_in(token);
        let outcome = if !self.errand.may_redeem {
            Outcome::Absent
        } else if let Redemption::Ended(outcome) =
            self.attempt(secret.as_ref(), consent, None).await?
        {
            outcome
        } else {
            let fingerprint = secret.map(|secret| secret.digest(self.house.app()).fingerprint());
            let fingerprint = fingerprint.map(tracing::field::display);
            tracing::warn!(event = "token.restore_unconfirmed", fingerprint);
            Outcome::AskFirst
        };
        self.lock().restore_outcome = outcome;
        Ok(outcome.is_restored())
    }

    /// Redeems what the request itself brings, before its handler runs; `None` for something
    /// under the key of a token that cannot be one.
    pub(crate) async fn redeem_brought(
        &self,
        secret: Option<&TokenSecret>,
        repeat: Option<RepeatWish>,
    ) -> Result<Redemption, SessionError> {
        let errand = &self.errand;
        // Who agreed to one token has not agreed to another one.
        let is_about =
            |token: &Digest| secret.is_some_and(|secret| secret.digest(self.house.app()) == *token);
        let consent = match errand.agreement {
            Agreement::Clicked(Question::Switch, token) if is_about(&token) => Consent::Given,
            Agreement::Sent => Consent::Clicked { signed_in: self.signed_in() },
            Agreement::Clicked(Question::Click, token) if is_about(&token) => {
                Consent::Clicked { signed_in: self.signed_in() }
            }
            Agreement::Opened | Agreement::Stale | Agreement::Clicked(..) => Consent::Open {
                row: errand.row_confirm,
                // What is embedded in a page, or fetched by a script, nobody has opened.
                browser: self.browser().filter(|_| errand.navigates),
                signed_in: self.signed_in(),
            },
        };
        self.attempt(secret, consent, repeat).await
    }

    /// What tokens hold of the browser that asks.
    pub(super) fn browser(&self) -> Option<Digest> {
        self.errand.binding.as_ref().map(|binding| binding.digest(self.house.app()))
    }

    /// The token under which the store knows one that was minted for this browser alone.
    pub(super) fn bound(&self, secret: &TokenSecret) -> Option<TokenSecret> {
        self.errand.binding.as_ref().map(|binding| binding.bound(secret))
    }

    /// The session in which the browser is signed in at present, or will be once what the handler
    /// has written is kept.
    pub(super) fn signed_in(&self) -> Option<SessionId> {
        let state = self.lock();
        state.access().known.then(|| state.id())
    }

    pub(super) async fn redeem(
        &self,
        secret: &TokenSecret,
        consent: Consent,
        repeat: Option<RepeatWish>,
    ) -> Result<Redemption, SessionError> {
        self.publish(None).await?;
        let house = &self.house;
        // Whoever is let in works under another right from then on.
        let _alone = self.desk.hold_alone().await;
        let now = house.clock.now();
        let nonce = self.newcomer(secret)?;
        let claim = Claim { repeat, ..self.claim_for(secret, &nonce, consent)? };
        let (fingerprint, id) = (claim.token.fingerprint(), claim.id);
        let token = claim.token;
        let claimed = match self.claim(now, claim).await {
            Err(error) if repeat.is_some() => {
                self.give_back(token, id).await;
                return Err(error);
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
                if repeat.is_some() {
                    return Ok(Redemption::Began(id, secret.clone()));
                }
                Outcome::Restored
            }
            Redeemed::TakenOver(grant) => {
                tracing::warn!(event = "token.taken_over", token = %grant.token,
                    session = %grant.opened.record.id);
                let credential = Credential::member(grant.opened.record.id, nonce, now);
                self.enter(grant, credential);
                return Ok(Redemption::Began(id, secret.clone()));
            }
            Redeemed::Repeats(first, repeat) => {
                if repeat == Repeat::Differs {
                    tracing::warn!(event = "token.repeat_differs", %fingerprint, first_used = %first);
                }
                return Ok(Redemption::Repeats(first, repeat, secret.clone()));
            }
            Redeemed::Used(at, session) => {
                tracing::warn!(event = "token.replay", %fingerprint, first_used = %at);
                if now.since(at) < REGRANT_WITHIN && self.may_return(session, consent) {
                    let credential = Credential::member(session, nonce, now);
                    self.let_in_again(now, credential).await?;
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
                return Ok(Redemption::Asks(question));
            }
        };
        Ok(Redemption::Ended(outcome))
    }

    /// The secret of the credential that the browser gets if it is let in.
    fn newcomer(&self, secret: &TokenSecret) -> Result<Secret<16>, NoEntropy> {
        match &self.errand.binding {
            Some(binding) => Ok(binding.newcomer(secret)),
            None => Credential::nonce(&*self.house.entropy),
        }
    }

    fn claim_for(
        &self,
        secret: &TokenSecret,
        nonce: &Secret<16>,
        consent: Consent,
    ) -> Result<Claim, SessionError> {
        let (house, errand) = (&self.house, &self.errand);
        let current = match &self.lock().standing {
            Standing::Open { opened, entry: Entry::Credential(credential) } => {
                Some((opened.record.id, credential.digest(house.app())))
            }
            _ => None,
        };
        let digest = Digest::of("credential", house.app(), nonce);
        Ok(Claim {
            token: secret.digest(house.app()),
            id: ClaimId::random(&*house.entropy)?,
            handler: Arc::clone(&errand.handler),
            row_mode: errand.row_mode,
            caller: errand.caller,
            consent,
            current,
            newcomer: house.device(digest, &errand.label, house.clock.now())?,
            repeat: None,
        })
    }

    /// Asks the store, and once more under the same claim id when its reply was lost: the store
    /// knows the attempt again, so this cannot become a second redemption.
    async fn claim(&self, now: Timestamp, claim: Claim) -> Result<Redeemed, SessionError> {
        failpoint::reached(Place::BeforeClaim)?;
        let store = &self.house.store;
        let first = store.redeem(now, claim.clone()).await;
        failpoint::reached(Place::AfterClaim)?;
        let Err(StoreError::Unreachable(cause)) = first else {
            return Ok(first?);
        };
        let again = tokio::time::timeout(CLAIM_RETRY_WINDOW, store.redeem(now, claim)).await;
        Ok(again.map_err(|_| StoreError::Unreachable(cause))??)
    }

    /// Lets a repeat run what this request will not, after a claim of which nobody knows whether it
    /// was granted. If the store does not hear of it, it finds out once the time of the run is over.
    async fn give_back(&self, token: Digest, run: ClaimId) {
        let conclusion = Conclusion { token, run, ending: Ending::Unbegun };
        let store = &self.house.store;
        let told = store.conclude(self.house.clock.now(), conclusion);
        let _ = tokio::time::timeout(CLAIM_RETRY_WINDOW, told).await;
    }

    /// Whether the browser may be let into this session a second time: it is known by what it
    /// holds, and is signed in nowhere else.
    fn may_return(&self, session: SessionId, consent: Consent) -> bool {
        let elsewhere = self.signed_in().is_some_and(|own| own != session);
        self.errand.binding.is_some() && (!elsewhere || consent == Consent::Given)
    }

    /// Gives a browser that has lost the response to its redemption the same credential again, if
    /// the session still knows it. Nothing is redeemed: the outcome is `used`.
    async fn let_in_again(
        &self,
        now: Timestamp,
        credential: Credential,
    ) -> Result<(), SessionError> {
        if self.lock().id() == credential.session() {
            return Ok(());
        }
        let digest = credential.digest(self.house.app());
        let resumed = self.house.store.resume(now, credential.session(), digest).await?;
        if let Resumed::Open(opened) = resumed {
            tracing::info!(event = "token.granted_again", session = %opened.record.id);
            let mut state = self.lock();
            state.mute = false;
            state.let_in = LetIn::Again;
            state.give(credential.clone());
            state.standing = Standing::Open { opened, entry: Entry::Credential(credential) };
        }
        Ok(())
    }

    /// Whether the browser was let in a second time.
    pub(crate) fn was_let_in_again(&self) -> bool {
        self.lock().let_in == LetIn::Again
    }

    /// Moves the request into the session that a token opened.
    fn enter(&self, grant: Grant, newcomer: Credential) {
        if grant.mode == RestoreMode::Transfer {
            self.house.watchers.wake(grant.opened.record.id);
        }
        let mut state = self.lock();
        let own = state.credential().cloned();
        let entry = match (grant.mode, grant.joined, own) {
            (RestoreMode::Context, ..) => {
                // The caller works in the session and is handed nothing that could open it.
                state.mute = true;
                let generation = grant.opened.record.generation;
                Entry::Context { generation, automatic: grant.automatic }
            }
            // The browser is in this session already and keeps its credential.
            (_, false, Some(own)) => Entry::Credential(own),
            (_, true, _) | (_, false, None) => {
                state.mute = false;
                state.give(newcomer.clone());
                Entry::Credential(newcomer)
            }
        };
        state.standing = Standing::Open { opened: grant.opened, entry };
    }
}
