//! A database that is slow for one session: requests of other sessions are served all the same.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::port::Guarantees;
use callgate::store::port::Records;
use callgate::store::shared::SharedStore;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Claimed;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Engine;
use callgate::store::shared::engine::Found;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::Share;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::Trimmed;
use callgate::store::shared::map::MapEngine;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::stores::kit::START;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;

/// More requests than a node admits for all sessions.
const REQUESTS: usize = 5_000;
/// Those of one session that it admits.
const OF_ONE_SESSION: usize = 512;

/// A database that does not respond to requests for one session until it is released.
#[derive(Debug)]
struct SlowEngine {
    engine: MapEngine,
    slow: Mutex<Option<SessionId>>,
    released: Semaphore,
}

impl SlowEngine {
    async fn wait(&self, id: SessionId) {
        let is_slow = *self.slow.lock().unwrap() == Some(id);
        if is_slow {
            // It has no permits; the wait ends when it is closed.
            assert!(self.released.acquire().await.is_err());
        }
    }
}

impl Engine for SlowEngine {
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        Box::pin(async move {
            self.wait(id).await;
            self.engine.read(id).await
        })
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        Box::pin(async move {
            self.wait(commit.id).await;
            self.engine.commit(commit).await
        })
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        self.engine.find(key)
    }

    fn records(&self) -> &dyn Records {
        self.engine.records()
    }

    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        self.engine.claim(order)
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        self.engine.touch(uses)
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>> {
        self.engine.sessions(after, at_most)
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>> {
        self.engine.tokens(after, at_most)
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.engine.sweep(now, at_most)
    }

    fn trim(&self, share: Share) -> Pending<'_, Trimmed> {
        self.engine.trim(share)
    }

    fn ahead(&self) -> Duration {
        self.engine.ahead()
    }

    fn check(&self) -> Pending<'_, Guarantees> {
        self.engine.check()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.engine.close()
    }
}

/// What many requests of one session do at once.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Read,
    Write,
    /// Finds the session by a token before it waits for the session.
    Revoke,
}

#[tokio::test]
async fn many_requests_of_one_session_hold_up_no_other() {
    for operation in [Operation::Read, Operation::Write, Operation::Revoke] {
        let (slow, released) = (Mutex::default(), Semaphore::new(0));
        let engine = Arc::new(SlowEngine { engine: MapEngine::default(), slow, released });
        let store = SharedStore::new(Arc::clone(&engine) as _);
        let busy = session(&*store).await.id;
        let token = minted(&*store, busy).await.id;
        *engine.slow.lock().unwrap() = Some(busy);
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let key = format!("key{}", number % 100);
                    match operation {
                        Operation::Read => {
                            store.look(START, busy, Right::Operator).await.map(|_| ())
                        }
                        Operation::Write => {
                            let patch = set(&key, &json!(1));
                            store.patch(START, busy, Right::Operator, patch).await.map(|_| ())
                        }
                        Operation::Revoke => store.revoke(START, token).await.map(|_| ()),
                    }
                })
            })
            .collect();
        // Every request begins, and waits or is refused.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let other = session(&*store).await.id;
        let patched = store.patch(START, other, Right::Operator, set("key", &json!(1))).await;
        patched.unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        engine.released.close();
        let mut refused = 0;
        for request in requests {
            match request.await.unwrap() {
                Ok(()) => {}
                Err(StoreError::Refused(_)) => refused += 1,
                Err(error) => panic!("{operation:?}: {error}"),
            }
        }
        assert_eq!(refused, REQUESTS - OF_ONE_SESSION, "{operation:?}");
        store.look(START, busy, Right::Operator).await.unwrap();
    }
}
