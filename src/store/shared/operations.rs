//! The operations of the port, each as reading, deciding and writing.

use std::sync::atomic::Ordering;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::clock::Stopwatch;
use crate::store::error::StoreError;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Guarantees;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Operation;
use crate::store::port::Pending;
use crate::store::port::Redeemed;
use crate::store::port::Store;
use crate::store::port::StoreReply;
use crate::store::port::on_records;
use crate::store::shared;
use crate::store::shared::ATTEMPTS_MAX;
use crate::store::shared::OnToken;
use crate::store::shared::SharedStore;
use crate::store::shared::engine::Claimed;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::engine::Unspent;
use crate::store::shared::order;
use crate::store::shared::snapshot::Snapshot;
use crate::store::shared::sure;
use crate::store::shared::token;
use crate::token::ClaimMark;
use crate::token::Token;

impl SharedStore {
    /// One round trip if the database grants the token by itself, or if nothing is to be written.
    async fn redeem(
        &self,
        now: Timestamp,
        claim: &Claim,
        operation: &Operation,
    ) -> Result<StoreReply, StoreError> {
        let claiming = self.begin()?;
        let now = self.present(now);
        let next = shared::version()?;
        let asked = Stopwatch::start();
        let claimed = self.engine.claim(order::of(now, claim, next)?).await;
        let claimed = claimed.inspect_err(|_| self.leases.start_again());
        let Claimed { granted, found } = claimed?;
        let Some(found) = found else { return Ok(Redeemed::Unknown.into()) };
        let found = if granted {
            match self.granted(now, operation, &found, next)? {
                Some(redeemed) => return Ok(redeemed),
                None => self.take_back(claim, found, next).await?,
            }
        } else {
            found
        };
        if is_shut(&found) && now < found.token.forget_at {
            fenced_off(claim.token);
            return Ok(Redeemed::Expired.into());
        }
        drop(claiming);
        let watched = |token| self.leases.watched((now, asked), token);
        let decided = self.work_on_token(now, (found, watched), operation);
        let decided = decided.await.inspect_err(|_| self.leases.start_again())?;
        Ok(match decided {
            OnToken::Answer(answer) => answer,
            OnToken::Gone => Redeemed::Unknown.into(),
            OnToken::Unfenced(token) => {
                fenced_off(claim.token);
                let used = |mark: ClaimMark| Redeemed::Used(mark.at, token.session);
                token.claim.map_or(Redeemed::Expired, used).into()
            }
        })
    }

    /// Builds the result of a grant by the database, from the state in which it was granted;
    /// `None` if this node would not have granted it.
    fn granted(
        &self,
        now: Timestamp,
        operation: &Operation,
        found: &Found,
        version: u64,
    ) -> Result<Option<StoreReply>, StoreError> {
        let token = token(found)?;
        let snapshot = self.snapshot(token.session, found.session.clone())?;
        let planned = snapshot.decide(now, Some(&token), operation)?;
        if !matches!(planned.answer, StoreReply::Redeemed(Redeemed::Granted(_))) {
            return Ok(None);
        }
        self.session_cache.remember(planned.after.written(version));
        Ok(Some(planned.answer))
    }

    /// Undoes a grant of the database that this node would have refused, and returns the token and
    /// its session as they are then. The caller has not been granted anything, so the token stays
    /// redeemable. If the outcome is unknown, its fence does not hold, or the browsers of
    /// the session were put out meanwhile, the token stays claimed.
    async fn take_back(
        &self,
        claim: &Claim,
        found: Found,
        version: u64,
    ) -> Result<Found, StoreError> {
        tracing::error!(
            event = "store.rule_differs",
            fingerprint = %claim.token.fingerprint(),
            "the database granted a token that callgate would have refused; the grant is undone"
        );
        let Found { token, session, .. } = found;
        let slip = Unspent { digest: token.digest, id: token.id, expires_at: token.expires_at };
        let newcomer = Some(claim.newcomer.digest)
            .filter(|own| session.as_ref().is_none_or(|row| !row.devices.contains(own)));
        let cached = self.session_cache.enter(token.session);
        let _turn = cached.turn().await?;
        cached.forget();
        let mut snapshot = self.snapshot(token.session, session)?.written(version);
        let generation = snapshot.generation();
        for _ in 0..ATTEMPTS_MAX {
            let commit = snapshot.without_claim(slip, newcomer).unclaim(&token)?;
            match self.engine.commit(Commit { next: shared::version()?, ..commit }).await? {
                Committed::Done => {
                    let found = self.engine.find(TokenKey::Digest(token.digest)).await?;
                    return found.ok_or(StoreError::Refused("the token was revoked meanwhile"));
                }
                Committed::Stale(Some(row)) => {
                    snapshot = self.snapshot(token.session, Some(row))?;
                    // A rotation meanwhile has ended the unspent tokens of the session.
                    if snapshot.generation() != generation {
                        break;
                    }
                }
                Committed::Stale(None) | Committed::TokenExists | Committed::Unfenced => break,
            }
        }
        let why = "the database granted a token that callgate would have refused";
        Err(StoreError::Corrupt(why.into()))
    }

    /// Runs an operation on a token that changes the token only. `None`: there is no such token.
    async fn on_token(
        &self,
        now: Timestamp,
        key: TokenKey,
        operation: &Operation,
    ) -> Result<Option<StoreReply>, StoreError> {
        let finding = self.begin_on_token(operation)?;
        let now = self.present(now);
        let Some(found) = self.engine.find(key).await? else { return Ok(None) };
        drop(finding);
        match self.work_on_token(now, (found, |token| token), operation).await? {
            OnToken::Answer(reply) => Ok(Some(reply)),
            OnToken::Unfenced(_) | OnToken::Gone => Ok(None),
        }
    }

    /// Pending uses are written first, so that none of their sessions counts as unused.
    async fn sweep(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let _place = self.begin()?;
        self.flush().await?;
        let now = self.present(now);
        let swept = self.engine.sweep(now, at_most).await?;
        // Covers what other nodes have admitted, and what guests have stored since.
        self.guests.trim(&*self.engine, now, None).await?;
        Ok(swept)
    }

    /// A faulty database can be repaired while nodes wait, so this operation treats no error as
    /// permanent. A caller that checks whether the store has stopped for good gets the error that
    /// it is unreachable.
    async fn check(&self) -> Result<Guarantees, StoreError> {
        let _place = self.begin()?;
        self.engine.check().await.map_err(|error| match error {
            StoreError::Corrupt(cause) => StoreError::Unreachable(cause),
            other => other,
        })
    }

    async fn shut_down(&self) -> Result<(), StoreError> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // Losing these uses is harmless: the sessions end some seconds earlier.
        let _ = self.flush().await;
        self.engine.close().await
    }

    /// Reads pages from the database until one page of living sessions is full.
    async fn sessions(
        &self,
        now: Timestamp,
        mut after: Option<SessionId>,
        at_most: usize,
    ) -> Result<Vec<Opened>, StoreError> {
        let _place = self.begin()?;
        let now = self.present(now);
        let mut page = Vec::new();
        while page.len() < at_most {
            let wanted = at_most - page.len();
            let rows = self.engine.sessions(after, wanted).await?;
            let ended = rows.len() < wanted;
            for (id, row) in rows {
                after = Some(id);
                let state = self.snapshot(id, Some(row))?.state;
                // An expired one is left for an operation or a sweep to end.
                page.extend(state.living(now).and_then(|_| state.opened()));
            }
            if ended {
                break;
            }
        }
        Ok(page)
    }

    async fn tokens(
        &self,
        now: Timestamp,
        mut after: Option<TokenId>,
        at_most: usize,
    ) -> Result<Vec<Token>, StoreError> {
        let _place = self.begin()?;
        let now = self.present(now);
        let mut page = Vec::new();
        while page.len() < at_most {
            let wanted = at_most - page.len();
            let rows = self.engine.tokens(after, wanted).await?;
            let ended = rows.len() < wanted;
            for found in rows {
                let token = token(&found)?;
                after = Some(token.id);
                let session = self.snapshot(token.session, found.session)?;
                let lives = session.state.living(now).is_some();
                page.extend(
                    Some(token).filter(|token| lives && found.fenced && token.is_unspent(now)),
                );
            }
            if ended {
                break;
            }
        }
        Ok(page)
    }
}

impl Store for SharedStore {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        let operation = match on_records(self.engine.records(), operation) {
            Ok(reply) => {
                return Box::pin(async move {
                    let _place = self.begin()?;
                    reply.await
                });
            }
            Err(other) => other,
        };
        Box::pin(async move {
            if matches!(operation, Operation::Close) {
                return self.shut_down().await.map(Into::into);
            }
            match &operation {
                Operation::Resume { id, .. } | Operation::Look { id, .. } => {
                    self.ask(now, *id, &operation).await
                }
                // Reads only if the session exists already, which is rare.
                Operation::Create { founding } => {
                    let id = founding.record.id;
                    sure(self.work(now, id, Some(Snapshot::absent(id)), &operation).await)
                }
                Operation::Patch { id, .. }
                | Operation::Detach { id, .. }
                | Operation::End { id, .. } => sure(self.work(now, *id, None, &operation).await),
                Operation::Mint { token, .. } => {
                    let minted = self.work(now, token.session, None, &operation).await?;
                    Ok(minted.unwrap_or(Minted::Refused.into()))
                }
                Operation::Redeem { claim } => self.redeem(now, claim, &operation).await,
                Operation::Conclude { conclusion } => {
                    let key = TokenKey::Digest(conclusion.token);
                    let concluded = self.on_token(now, key, &operation).await?;
                    Ok(concluded.unwrap_or(Concluded::Forgotten.into()))
                }
                Operation::Revoke { token } => {
                    let revoked = self.on_token(now, TokenKey::Name(*token), &operation).await?;
                    Ok(revoked.unwrap_or(false.into()))
                }
                Operation::Sessions { after, at_most } => {
                    self.sessions(now, *after, *at_most).await.map(Into::into)
                }
                Operation::Tokens { after, at_most } => {
                    self.tokens(now, *after, *at_most).await.map(Into::into)
                }
                Operation::Sweep { at_most } => self.sweep(now, *at_most).await.map(Into::into),
                Operation::ReadRecords { .. }
                | Operation::ListRecords { .. }
                | Operation::WriteRecords { .. } => {
                    Err(StoreError::Refused("records are the engine's"))
                }
                Operation::SelfCheck | Operation::Close => self.check().await.map(Into::into),
            }
        })
    }
}

/// Whether a fence blocks this token, and it was not used before as far as is known.
fn is_shut(found: &Found) -> bool {
    !found.fenced && found.token.claim.is_none()
}

/// Computes the fingerprint for a log.
fn fenced_off(token: Digest) {
    tracing::warn!(
        event = "token.fenced",
        fingerprint = %token.fingerprint(),
        "the database that minted it has been replaced or restarted since, and may have forgotten \
         that it was used"
    );
}
