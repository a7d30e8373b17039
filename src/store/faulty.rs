//! A store that loses requests or replies on demand, for tests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::base::Timestamp;
use crate::store::error::StoreError;
use crate::store::port::Operation;
use crate::store::port::OperationKind;
use crate::store::port::Pending;
use crate::store::port::Store;
use crate::store::port::StoreReply;

/// Wraps a store and loses the calls it is configured to lose. Everything else is passed on.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    plan: Mutex<HashMap<OperationKind, Planned>>,
    losses: AtomicU32,
}

/// What is lost of a call. The caller of a lost one sees [`StoreError::Unreachable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lose {
    /// The request, so that the store does nothing.
    Request,
    /// The reply, so that the store performs the operation and the caller does not learn the
    /// result.
    Reply,
    /// Nothing: the call waits for one turn of the scheduler, so that a caller can do something else
    /// meanwhile, or drop it.
    Turn,
}

/// Which calls of an operation lose something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The next so many calls.
    Next(u32),
    /// Every n-th call from now on: with 3, the third, the sixth, …; with 0, none.
    Every(u32),
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

    /// Loses `lose` of the calls of `operation` that `when` selects, replacing what was configured
    /// for it before.
    pub fn lose(&self, operation: OperationKind, lose: Lose, when: When) {
        self.plan().insert(operation, Planned { lose, when, calls: 0 });
    }

    /// Calls that have lost something so far.
    pub fn losses(&self) -> u32 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Calls of `operation` since [`Faulty::lose`] was called for it; 0 if it was not.
    pub fn calls(&self, operation: OperationKind) -> u32 {
        self.plan().get(&operation).map_or(0, |planned| planned.calls)
    }

    /// Stops losing calls.
    pub fn heal(&self) {
        self.plan().clear();
    }

    fn plan(&self) -> MutexGuard<'_, HashMap<OperationKind, Planned>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call loses.
    fn next(&self, operation: OperationKind) -> Option<Lose> {
        let mut plan = self.plan();
        let planned = plan.get_mut(&operation)?;
        planned.calls += 1;
        let hit = match planned.when {
            When::Next(calls) => planned.calls <= calls,
            When::Every(nth) => nth > 0 && planned.calls.is_multiple_of(nth),
        };
        self.losses.fetch_add(u32::from(hit), Ordering::SeqCst);
        hit.then_some(planned.lose)
    }
}

fn lost(what: &'static str) -> StoreError {
    StoreError::Unreachable(what.into())
}

impl Store for Faulty {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        Box::pin(async move {
            let loses = self.next(operation.kind());
            if loses == Some(Lose::Request) {
                return Err(lost("the request was lost"));
            }
            if loses == Some(Lose::Turn) {
                tokio::task::yield_now().await;
            }
            let reply = self.inner.run(now, operation).await;
            if loses == Some(Lose::Reply) { Err(lost("the reply was lost")) } else { reply }
        })
    }
}
