//! A store for the controls: one of its verbs checks no right.

use std::sync::Arc;

use callgate::base::DeviceId;
use callgate::base::Digest;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::faulty::Verb;
use callgate::store::port::Checked;
use callgate::store::port::Claim;
use callgate::store::port::Concluded;
use callgate::store::port::Conclusion;
use callgate::store::port::Created;
use callgate::store::port::Founding;
use callgate::store::port::Guarantees;
use callgate::store::port::Minted;
use callgate::store::port::Opened;
use callgate::store::port::Patched;
use callgate::store::port::Records;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::Token;

/// Calls one verb under a right that always holds, and all others as they come.
#[derive(Debug)]
pub(crate) struct Unchecked {
    inner: Arc<dyn Store>,
    verb: Verb,
}

impl Unchecked {
    pub(crate) fn new(inner: Arc<dyn Store>, verb: Verb) -> Self {
        Self { inner, verb }
    }

    fn right(&self, verb: Verb, right: Right) -> Right {
        if self.verb == verb { Right::Operator } else { right }
    }
}

impl Store for Unchecked {
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed> {
        self.inner.resume(now, id, credential)
    }

    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created> {
        self.inner.create(now, founding)
    }

    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Pending<'_, Patched> {
        self.inner.patch(now, id, self.right(Verb::Patch, right), patch)
    }

    fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: Patch,
        token: Token,
    ) -> Pending<'_, Minted> {
        self.inner.mint(now, self.right(Verb::Mint, right), patch, token)
    }

    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed> {
        self.inner.redeem(now, claim)
    }

    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Pending<'_, Concluded> {
        self.inner.conclude(now, conclusion)
    }

    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>> {
        self.inner.detach(now, id, self.right(Verb::Detach, right), device)
    }

    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>> {
        self.inner.end(now, id, self.right(Verb::End, right))
    }

    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool> {
        self.inner.revoke(now, token)
    }

    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>> {
        self.inner.look(now, id, self.right(Verb::Look, right))
    }

    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>> {
        self.inner.sessions(now, after, at_most)
    }

    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>> {
        self.inner.tokens(now, after, at_most)
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.inner.sweep(now, at_most)
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
