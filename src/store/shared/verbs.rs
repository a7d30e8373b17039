//! The operations of the port, each as reading, deciding and writing.

use std::sync::atomic::Ordering;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::clock::Stopwatch;
use crate::session::Patch;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Guarantees;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Patched;
use crate::store::port::Pending;
use crate::store::port::Records;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::store::port::Store;
use crate::store::shared::OnToken;
use crate::store::shared::SharedStore;
use crate::store::shared::engine::Claimed;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::fenced_off;
use crate::store::shared::is_shut;
use crate::store::shared::order;
use crate::store::shared::piece::Piece;
use crate::store::shared::sure;
use crate::store::shared::token;
use crate::store::shared::version;
use crate::token::ClaimMark;
use crate::token::Token;

impl SharedStore {
    /// One round trip if the database grants the token by itself, or if nothing is to be written.
    async fn redeem(&self, now: Timestamp, claim: Claim) -> Result<Redeemed, StoreError> {
        let _place = self.begin()?;
        let now = self.present(now);
        let next = version()?;
        let asked = Stopwatch::start();
        let claimed = self.engine.claim(order::of(now, &claim, next)?).await;
        let claimed = claimed.inspect_err(|_| self.leases.start_again());
        let Claimed { granted, found } = claimed?;
        let Some(found) = found else { return Ok(Redeemed::Unknown) };
        if granted {
            return self.granted(now, &claim, found, next);
        }
        if is_shut(&found) && now < found.token.forget_at {
            fenced_off(claim.token);
            return Ok(Redeemed::Expired);
        }
        // The lease may have been renewed after the database read it.
        let seen_at = now.after(asked.elapsed());
        let watched = |token| self.leases.watched(seen_at, token);
        let decided =
            self.work_on_token(now, (found, watched), |live, now| live.redeem(now, &claim));
        let decided = decided.await.inspect_err(|_| self.leases.start_again())?;
        Ok(match decided {
            OnToken::Answer(answer) => answer,
            OnToken::Gone => Redeemed::Unknown,
            OnToken::Unfenced(token) => {
                fenced_off(claim.token);
                let used = |mark: ClaimMark| Redeemed::Used(mark.at, token.session);
                token.claim.map_or(Redeemed::Expired, used)
            }
        })
    }

    /// Builds the result of a grant by the database, from the state in which it was granted.
    fn granted(
        &self,
        now: Timestamp,
        claim: &Claim,
        found: Found,
        version: u64,
    ) -> Result<Redeemed, StoreError> {
        let token = token(&found)?;
        let piece = self.piece(token.session, found.session)?;
        let came = piece.decide(now, Some(&token), |live, now| live.redeem(now, claim))?;
        if !matches!(came.answer, Redeemed::Granted(_)) {
            // The two copies of the rule disagree. The token is spent, so no other result may be
            // returned.
            let why = "the database granted a token that callgate would have refused";
            return Err(StoreError::Corrupt(why.into()));
        }
        self.lanes.remember(came.after.written(version));
        Ok(came.answer)
    }

    async fn conclude(
        &self,
        now: Timestamp,
        conclusion: Conclusion,
    ) -> Result<Concluded, StoreError> {
        let _place = self.begin()?;
        let now = self.present(now);
        let Some(found) = self.engine.find(TokenKey::Digest(conclusion.token)).await? else {
            return Ok(Concluded::Forgotten);
        };
        let found = (found, |token| token);
        let decide = self.work_on_token(now, found, |live, now| live.conclude(now, &conclusion));
        match decide.await? {
            OnToken::Answer(answer) => Ok(answer),
            OnToken::Unfenced(_) | OnToken::Gone => Ok(Concluded::Forgotten),
        }
    }

    async fn revoke(&self, now: Timestamp, name: TokenId) -> Result<bool, StoreError> {
        let _place = self.begin()?;
        let now = self.present(now);
        let Some(found) = self.engine.find(TokenKey::Name(name)).await? else { return Ok(false) };
        let found = (found, |token| token);
        let decided = self.work_on_token(now, found, |live, now| live.revoke(now, name));
        Ok(matches!(decided.await?, OnToken::Answer(true)))
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
                page.extend(opened(now, &self.piece(id, Some(row))?)?);
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
                let session = self.piece(token.session, found.session)?;
                let lives = opened(now, &session)?.is_some();
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

/// The session if it is alive. An expired one is left for an operation or a sweep to end.
fn opened(now: Timestamp, piece: &Piece) -> Result<Option<Opened>, StoreError> {
    Ok(piece
        .decide(now, None, |live, now| live.look(now, piece.id, Right::Operator))?
        .answer
        .done())
}

impl Store for SharedStore {
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed> {
        Box::pin(self.ask(now, id, move |live, now| live.resume(now, id, credential)))
    }

    /// Reads only if the session exists already, which is rare.
    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created> {
        let id = founding.record.id;
        let absent = Some(Piece::unheard(id));
        Box::pin(async move {
            sure(self.work(now, id, absent, |live, now| live.create(now, &founding)).await)
        })
    }

    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Pending<'_, Patched> {
        Box::pin(async move {
            sure(self.work(now, id, None, |live, now| live.patch(now, id, right, &patch)).await)
        })
    }

    fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: Patch,
        token: Token,
    ) -> Pending<'_, Minted> {
        let id = token.session;
        Box::pin(async move {
            let minted =
                self.work(now, id, None, |live, now| live.mint(now, right, &patch, &token));
            Ok(minted.await?.unwrap_or(Minted::Refused))
        })
    }

    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed> {
        Box::pin(Self::redeem(self, now, claim))
    }

    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Pending<'_, Concluded> {
        Box::pin(Self::conclude(self, now, conclusion))
    }

    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>> {
        Box::pin(async move {
            sure(self.work(now, id, None, |live, now| live.detach(now, id, right, device)).await)
        })
    }

    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>> {
        Box::pin(async move {
            sure(self.work(now, id, None, |live, now| live.end(now, id, right)).await)
        })
    }

    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool> {
        Box::pin(Self::revoke(self, now, token))
    }

    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>> {
        Box::pin(self.ask(now, id, move |live, now| live.look(now, id, right)))
    }

    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>> {
        Box::pin(Self::sessions(self, now, after, at_most))
    }

    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>> {
        Box::pin(Self::tokens(self, now, after, at_most))
    }

    /// Pending uses are written first, so that none of their sessions counts as unused.
    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        Box::pin(async move {
            let _place = self.begin()?;
            self.flush().await?;
            let now = self.present(now);
            let swept = self.engine.sweep(now, at_most).await?;
            // Covers what other nodes have admitted, and what guests have stored since.
            self.guests.trim(&*self.engine, now, None).await?;
            Ok(swept)
        })
    }

    /// A faulty database can be repaired while nodes wait, so this operation treats no error as
    /// permanent. A caller that checks whether the store has stopped for good gets the error that
    /// it is unreachable.
    fn records(&self) -> &dyn Records {
        self.engine.records()
    }

    fn self_check(&self) -> Pending<'_, Guarantees> {
        Box::pin(async move {
            let _place = self.begin()?;
            self.engine.check().await.map_err(|error| match error {
                StoreError::Corrupt(cause) => StoreError::Unreachable(cause),
                other => other,
            })
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            if self.closed.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            // Losing these uses is harmless: the sessions end some seconds earlier.
            let _ = self.flush().await;
            self.engine.close().await
        })
    }
}
