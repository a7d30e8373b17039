//! A store that loses requests or replies on demand, for tests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
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
use crate::store::port::RecordChange;
use crate::store::port::Records;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::store::port::Store;
use crate::token::Token;

/// Wraps a store and loses the calls it is configured to lose. Everything else is passed on.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    plan: Mutex<HashMap<Verb, Planned>>,
    losses: AtomicU32,
}

/// What is lost of a call. The caller sees [`StoreError::Unreachable`] in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lose {
    /// The request, so that the store does nothing.
    Request,
    /// The reply, so that the store performs the operation and the caller does not learn the
    /// result.
    Reply,
}

/// Which calls of an operation lose something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The next so many calls.
    Next(u32),
    /// Every n-th call from now on: with 3, the third, the sixth, …; with 0, none.
    Every(u32),
}

macro_rules! verbs {
    ($($verb:ident)*) => {
        /// An operation of the port.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the verb of the port of the same name")]
        pub enum Verb {
            $($verb,)*
        }

        impl Verb {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$verb),*];
        }
    };
}

verbs! {
    Resume Create Patch Mint Redeem Conclude Detach End Revoke Look Sessions Tokens Sweep SelfCheck
    Close ReadRecords ListRecords WriteRecords
}

#[derive(Debug)]
struct Planned {
    lose: Lose,
    when: When,
    calls: u32,
}

impl Faulty {
    /// Wraps a store. Nothing is lost yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Mutex::new(HashMap::new()), losses: AtomicU32::new(0) }
    }

    /// The wrapped store.
    pub fn inner(&self) -> &dyn Store {
        &*self.inner
    }

    /// Loses `lose` of the calls of `verb` that `when` selects, replacing what was configured for
    /// this verb before.
    pub fn lose(&self, verb: Verb, lose: Lose, when: When) {
        self.plan().insert(verb, Planned { lose, when, calls: 0 });
    }

    /// Calls that have lost something so far.
    pub fn losses(&self) -> u32 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Calls of `verb` since [`Faulty::lose`] was called for it; 0 if it was not.
    pub fn calls(&self, verb: Verb) -> u32 {
        self.plan().get(&verb).map_or(0, |planned| planned.calls)
    }

    /// Stops losing calls.
    pub fn heal(&self) {
        self.plan().clear();
    }

    fn plan(&self) -> MutexGuard<'_, HashMap<Verb, Planned>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call loses.
    fn next(&self, verb: Verb) -> Option<Lose> {
        let mut plan = self.plan();
        let planned = plan.get_mut(&verb)?;
        planned.calls += 1;
        let hit = match planned.when {
            When::Next(calls) => planned.calls <= calls,
            When::Every(nth) => nth > 0 && planned.calls.is_multiple_of(nth),
        };
        self.losses.fetch_add(u32::from(hit), Ordering::SeqCst);
        hit.then_some(planned.lose)
    }

    fn through<'a, T: Send + 'a>(&'a self, verb: Verb, call: Pending<'a, T>) -> Pending<'a, T> {
        Box::pin(async move {
            match self.next(verb) {
                None => call.await,
                Some(Lose::Request) => Err(lost("the request was lost")),
                Some(Lose::Reply) => {
                    // The result is what is lost.
                    let _ = call.await;
                    Err(lost("the reply was lost"))
                }
            }
        })
    }
}

fn lost(what: &'static str) -> StoreError {
    StoreError::Unreachable(what.into())
}

impl Store for Faulty {
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed> {
        self.through(Verb::Resume, self.inner.resume(now, id, credential))
    }

    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created> {
        self.through(Verb::Create, self.inner.create(now, founding))
    }

    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Pending<'_, Patched> {
        self.through(Verb::Patch, self.inner.patch(now, id, right, patch))
    }

    fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: Patch,
        token: Token,
    ) -> Pending<'_, Minted> {
        self.through(Verb::Mint, self.inner.mint(now, right, patch, token))
    }

    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed> {
        self.through(Verb::Redeem, self.inner.redeem(now, claim))
    }

    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Pending<'_, Concluded> {
        self.through(Verb::Conclude, self.inner.conclude(now, conclusion))
    }

    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>> {
        self.through(Verb::Detach, self.inner.detach(now, id, right, device))
    }

    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>> {
        self.through(Verb::End, self.inner.end(now, id, right))
    }

    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool> {
        self.through(Verb::Revoke, self.inner.revoke(now, token))
    }

    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>> {
        self.through(Verb::Look, self.inner.look(now, id, right))
    }

    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>> {
        self.through(Verb::Sessions, self.inner.sessions(now, after, at_most))
    }

    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>> {
        self.through(Verb::Tokens, self.inner.tokens(now, after, at_most))
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.through(Verb::Sweep, self.inner.sweep(now, at_most))
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn self_check(&self) -> Pending<'_, Guarantees> {
        self.through(Verb::SelfCheck, self.inner.self_check())
    }

    fn close(&self) -> Pending<'_, ()> {
        self.through(Verb::Close, self.inner.close())
    }
}

impl Records for Faulty {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        self.through(Verb::ReadRecords, self.inner.records().read(keys))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        self.through(Verb::ListRecords, self.inner.records().list(prefix, after, at_most))
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        self.through(Verb::WriteRecords, self.inner.records().write(changes))
    }
}
