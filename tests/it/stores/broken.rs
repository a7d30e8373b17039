//! A store with one defect, as a control: the contract suite must notice each.

use std::sync::Arc;

use callgate::base::ClaimId;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::port::Checked;
use callgate::store::port::Claim;
use callgate::store::port::Concluded;
use callgate::store::port::Created;
use callgate::store::port::Ending;
use callgate::store::port::Founding;
use callgate::store::port::Grant;
use callgate::store::port::Minted;
use callgate::store::port::Operation;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::StoreReply;
use callgate::token::Consent;

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

    /// Changes the arguments as the defect does.
    fn spoil(&self, operation: &mut Operation) {
        match operation {
            Operation::Patch { right, patch, .. } => {
                *right = self.right(Defect::AnybodyPatches, *right);
                if self.has(Defect::LastWriterWins) {
                    (patch.expect, patch.expect_access) = (None, None);
                }
                if self.has(Defect::RotationAddsOnly) {
                    patch.rotate = None;
                }
            }
            Operation::Mint { right, patch, token } => {
                *right = self.right(Defect::AnybodyMints, *right);
                if self.has(Defect::ForgetsBindings) {
                    token.binding = None;
                }
                if self.has(Defect::OnlyTheRowAsks) {
                    token.confirm = None;
                }
                if self.has(Defect::RotationAddsOnly) {
                    patch.rotate = None;
                }
            }
            Operation::Redeem { claim } => self.spoil_claim(claim),
            Operation::Conclude { conclusion } if self.has(Defect::FreesEveryRun) => {
                conclusion.ending = Ending::NotStarted;
            }
            Operation::Detach { right, .. } => {
                *right = self.right(Defect::AnybodyDetaches, *right);
            }
            Operation::End { right, .. } => *right = self.right(Defect::AnybodyEnds, *right),
            Operation::Look { right, .. } => *right = self.right(Defect::AnybodyLooks, *right),
            Operation::Sweep { at_most } if self.has(Defect::SweepsAll) => *at_most = usize::MAX,
            _ => {}
        }
    }

    fn spoil_claim(&self, claim: &mut Claim) {
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
    }

    async fn patch(&self, now: Timestamp, operation: Operation) -> Result<StoreReply, StoreError> {
        let Operation::Patch { id, right, patch } = operation else { unreachable!() };
        if self.has(Defect::ConflictFirst) && patch.expect.is_some() {
            let patched = self.inner.patch(now, id, Right::Operator, (*patch).clone()).await?;
            if matches!(patched, Patched::Conflict(_)) {
                return Ok(patched.into());
            }
        }
        let patched = self.inner.patch(now, id, right, (*patch).clone()).await?;
        if matches!(patched, Patched::Gone) && self.has(Defect::PatchCreates) {
            let record = Record::new(id, now, Lifetime::default(), device());
            let founding = Founding { record, patch: *patch, token: None };
            if let Created::New(opened) = self.inner.create(now, founding).await? {
                return Ok(Patched::Done(opened).into());
            }
        }
        Ok(patched.into())
    }

    async fn mint_in_two_steps(
        &self,
        now: Timestamp,
        operation: Operation,
    ) -> Result<StoreReply, StoreError> {
        let Operation::Mint { right, patch, token } = operation else { unreachable!() };
        let id = token.session;
        let minted = self.inner.mint(now, right, Patch::default(), *token).await?;
        Ok(match self.inner.patch(now, id, right, *patch).await? {
            Patched::Done(opened) => Minted::Done(opened),
            Patched::Gone | Patched::Replaced => minted,
            Patched::Conflict(_) | Patched::TooLarge => Minted::Refused,
        }
        .into())
    }

    async fn redeem(&self, now: Timestamp, claim: Claim) -> Result<Redeemed, StoreError> {
        if self.has(Defect::AskingSpends) {
            let asked = self.inner.redeem(now, claim.clone()).await?;
            if matches!(asked, Redeemed::AskFirst(_)) {
                let consent = Consent::Given;
                self.inner.redeem(now, Claim { consent, ..claim }).await?;
            }
            return Ok(asked);
        }
        if !self.has(Defect::LooksThenTakes) {
            return self.inner.redeem(now, claim).await;
        }
        let tokens = self.inner.tokens(now, None, usize::MAX).await?;
        let unspent = tokens.into_iter().find(|held| held.digest == claim.token);
        tokio::task::yield_now().await;
        let redeemed = self.inner.redeem(now, claim).await?;
        let (Some(token), Redeemed::Used(..)) = (unspent, &redeemed) else {
            return Ok(redeemed);
        };
        // Another one came between, which a store like this does not notice.
        let opened = self.inner.look(now, token.session, Right::Operator).await?.done();
        let (mode, token) = (RestoreMode::Share, token.id);
        Ok(opened.map_or(redeemed, |opened| {
            let (joined, automatic, put_out) = (true, false, None);
            Redeemed::Granted(Grant { opened, token, mode, joined, automatic, put_out })
        }))
    }

    async fn look(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
    ) -> Result<StoreReply, StoreError> {
        let looked = self.inner.look(now, id, right).await?;
        if let Some(opened) = looked.clone().done().filter(|_| self.has(Defect::LookingIsUse)) {
            let first = opened.record.devices.first().map(|device| device.digest);
            self.inner.resume(now, id, first.unwrap_or(device().digest)).await?;
        }
        Ok(looked.into())
    }
}

impl Store for Broken {
    fn run(&self, now: Timestamp, mut operation: Operation) -> Pending<'_, StoreReply> {
        let now = self.clock(now);
        self.spoil(&mut operation);
        Box::pin(async move {
            match operation {
                Operation::Patch { .. } => self.patch(now, operation).await,
                Operation::Mint { .. } if self.has(Defect::MintIsTwoSteps) => {
                    self.mint_in_two_steps(now, operation).await
                }
                Operation::Redeem { claim } => self.redeem(now, *claim).await.map(Into::into),
                Operation::Conclude { conclusion }
                    if self.has(Defect::ForgetsAnswers)
                        && matches!(conclusion.ending, Ending::Answered(_)) =>
                {
                    Ok(Concluded::Kept.into())
                }
                Operation::End { .. } if self.has(Defect::LogoutIsLater) => {
                    Ok(Checked::Done(()).into())
                }
                Operation::Look { id, right } => self.look(now, id, right).await,
                operation => self.inner.run(now, operation).await,
            }
        })
    }
}
