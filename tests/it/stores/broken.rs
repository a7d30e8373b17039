//! A store with one defect, as a control: the contract suite must notice each.

use std::sync::Arc;

use callgate::base::ClaimId;
use callgate::base::DeviceId;
use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::port::Checked;
use callgate::store::port::Claim;
use callgate::store::port::Concluded;
use callgate::store::port::Conclusion;
use callgate::store::port::Created;
use callgate::store::port::Ending;
use callgate::store::port::Founding;
use callgate::store::port::Grant;
use callgate::store::port::Guarantees;
use callgate::store::port::Minted;
use callgate::store::port::Opened;
use callgate::store::port::Patched;
use callgate::store::port::Records;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::Consent;
use callgate::token::Token;

use crate::stores::kit::START;
use crate::stores::kit::device;

/// What is wrong with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Looks whether a token is unspent, and grants it in a second step.
    LooksThenTakes,
    /// A patch of a session that is not there makes one.
    PatchCreates,
    /// Every redemption is a new attempt.
    ForgetsClaimIds,
    /// What a patch expects is not looked at.
    LastWriterWins,
    /// The clock stands still.
    IgnoresTime,
    /// A logout is acknowledged and not done.
    LogoutIsLater,
    /// Tokens are for every handler.
    AnyHandler,
    /// A rotation leaves everybody else in.
    RotationAddsOnly,
    /// A look counts as use.
    LookingIsUse,
    /// Mints first and patches then.
    MintIsTwoSteps,
    /// A context redemption lets the caller in.
    ContextJoins,
    /// A sweep knows no bound.
    SweepsAll,
    /// The right of this verb is not looked at.
    AnybodyPatches,
    AnybodyMints,
    AnybodyDetaches,
    AnybodyEnds,
    AnybodyLooks,
    /// What a patch expects is looked at before its right.
    ConflictFirst,
    /// Everybody is taken to have agreed.
    NeverAsks,
    /// Asks, and has spent the token.
    AskingSpends,
    /// Tokens forget the browser that minted them.
    ForgetsBindings,
    /// Only what the row wants is asked for.
    OnlyTheRowAsks,
    /// Says that an answer is kept, and keeps none.
    ForgetsAnswers,
    /// Every run that ended may be run again.
    FreesEveryRun,
    /// What a repeat brings is not looked at.
    AnyBodyRepeats,
}

#[derive(Debug)]
pub(crate) struct Broken {
    inner: Arc<dyn Store>,
    defect: Defect,
}

impl Broken {
    pub(crate) fn new(inner: Arc<dyn Store>, defect: Defect) -> Self {
        Self { inner, defect }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The right, unless the defect is that it does not matter.
    fn right(&self, defect: Defect, right: Right) -> Right {
        if self.has(defect) { Right::Operator } else { right }
    }

    fn clock(&self, now: Timestamp) -> Timestamp {
        if self.has(Defect::IgnoresTime) { START } else { now }
    }
}

impl Store for Broken {
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed> {
        self.inner.resume(self.clock(now), id, credential)
    }

    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created> {
        self.inner.create(self.clock(now), founding)
    }

    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        mut patch: Patch,
    ) -> Pending<'_, Patched> {
        let now = self.clock(now);
        let right = self.right(Defect::AnybodyPatches, right);
        if self.has(Defect::LastWriterWins) {
            (patch.expect, patch.expect_access) = (None, None);
        }
        if self.has(Defect::RotationAddsOnly) {
            patch.rotate = None;
        }
        Box::pin(async move {
            if self.has(Defect::ConflictFirst) && patch.expect.is_some() {
                let patched = self.inner.patch(now, id, Right::Operator, patch.clone()).await?;
                if matches!(patched, Patched::Conflict(_)) {
                    return Ok(patched);
                }
            }
            let patched = self.inner.patch(now, id, right, patch.clone()).await?;
            if matches!(patched, Patched::Gone) && self.has(Defect::PatchCreates) {
                let record = Record::new(id, now, Lifetime::default(), device());
                let founding = Founding { record, patch, token: None };
                if let Created::New(opened) = self.inner.create(now, founding).await? {
                    return Ok(Patched::Done(opened));
                }
            }
            Ok(patched)
        })
    }

    fn mint(
        &self,
        now: Timestamp,
        right: Right,
        mut patch: Patch,
        mut token: Token,
    ) -> Pending<'_, Minted> {
        let now = self.clock(now);
        let right = self.right(Defect::AnybodyMints, right);
        if self.has(Defect::ForgetsBindings) {
            token.binding = None;
        }
        if self.has(Defect::OnlyTheRowAsks) {
            token.confirm = None;
        }
        if self.has(Defect::RotationAddsOnly) {
            patch.rotate = None;
        }
        if self.has(Defect::MintIsTwoSteps) {
            return Box::pin(async move {
                let id = token.session;
                let minted = self.inner.mint(now, right, Patch::default(), token).await?;
                match self.inner.patch(now, id, right, patch).await? {
                    Patched::Done(opened) => Ok(Minted::Done(opened)),
                    Patched::Gone | Patched::Replaced => Ok(minted),
                    Patched::Conflict(_) | Patched::TooLarge => Ok(Minted::Refused),
                }
            });
        }
        self.inner.mint(now, right, patch, token)
    }

    fn redeem(&self, now: Timestamp, mut claim: Claim) -> Pending<'_, Redeemed> {
        let now = self.clock(now);
        if self.has(Defect::ForgetsClaimIds) {
            claim.id = ClaimId::from_bytes(*device().digest.bytes().first_chunk().unwrap());
        }
        if self.has(Defect::ContextJoins) && claim.row_mode == RestoreMode::Context {
            claim.row_mode = RestoreMode::Share;
        }
        if self.has(Defect::AnyHandler) {
            claim.handler = "Pay.done".into();
        }
        if let Some(wish) = claim.repeat.as_mut().filter(|_| self.has(Defect::AnyBodyRepeats)) {
            wish.key.body = wish.key.call;
        }
        if self.has(Defect::NeverAsks) {
            claim.consent = Consent::Given;
        }
        if self.has(Defect::AskingSpends) {
            return Box::pin(async move {
                let asked = self.inner.redeem(now, claim.clone()).await?;
                if matches!(asked, Redeemed::AskFirst(_)) {
                    let consent = Consent::Given;
                    self.inner.redeem(now, Claim { consent, ..claim }).await?;
                }
                Ok(asked)
            });
        }
        if !self.has(Defect::LooksThenTakes) {
            return self.inner.redeem(now, claim);
        }
        Box::pin(async move {
            let tokens = self.inner.tokens(now, None, usize::MAX).await?;
            let unspent = tokens.into_iter().find(|held| held.digest == claim.token);
            tokio::task::yield_now().await;
            let redeemed = self.inner.redeem(now, claim).await?;
            let (Some(token), Redeemed::Used(..)) = (unspent, &redeemed) else {
                return Ok(redeemed);
            };
            // Another one came between, which a store like this does not notice.
            let opened = self.inner.look(now, token.session, Right::Operator).await?.done();
            let mode = RestoreMode::Share;
            let grant = |opened| Grant {
                opened,
                token: token.id,
                mode,
                joined: true,
                automatic: false,
                put_out: None,
            };
            Ok(opened.map_or(redeemed, |opened| Redeemed::Granted(grant(opened))))
        })
    }

    fn conclude(&self, now: Timestamp, mut conclusion: Conclusion) -> Pending<'_, Concluded> {
        if self.has(Defect::ForgetsAnswers) && matches!(conclusion.ending, Ending::Answered(_)) {
            return Box::pin(async { Ok(Concluded::Kept) });
        }
        if self.has(Defect::FreesEveryRun) {
            conclusion.ending = Ending::NotStarted;
        }
        self.inner.conclude(self.clock(now), conclusion)
    }

    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>> {
        let right = self.right(Defect::AnybodyDetaches, right);
        self.inner.detach(self.clock(now), id, right, device)
    }

    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>> {
        if self.has(Defect::LogoutIsLater) {
            return Box::pin(async { Ok(Checked::Done(())) });
        }
        self.inner.end(self.clock(now), id, self.right(Defect::AnybodyEnds, right))
    }

    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool> {
        self.inner.revoke(self.clock(now), token)
    }

    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>> {
        let now = self.clock(now);
        let right = self.right(Defect::AnybodyLooks, right);
        Box::pin(async move {
            let looked = self.inner.look(now, id, right).await?;
            if let Some(opened) = looked.clone().done().filter(|_| self.has(Defect::LookingIsUse)) {
                let first = opened.record.devices.first().map(|device| device.digest);
                self.inner.resume(now, id, first.unwrap_or(device().digest)).await?;
            }
            Ok(looked)
        })
    }

    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>> {
        self.inner.sessions(self.clock(now), after, at_most)
    }

    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>> {
        self.inner.tokens(self.clock(now), after, at_most)
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        let at_most = if self.has(Defect::SweepsAll) { usize::MAX } else { at_most };
        self.inner.sweep(self.clock(now), at_most)
    }

    fn records(&self) -> &dyn Records {
        self.inner.records()
    }

    fn self_check(&self) -> Pending<'_, Guarantees> {
        self.inner.self_check()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.inner.close()
    }
}
