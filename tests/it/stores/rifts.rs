//! What comes between a node and its database: another node's write, a fail-over, a lost reply.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::base::limits::CLOCKS_APART_MAX;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::port::Claim;
use callgate::store::port::Concluded;
use callgate::store::port::Conclusion;
use callgate::store::port::Ending;
use callgate::store::port::Guarantees;
use callgate::store::port::Minted;
use callgate::store::port::Patched;
use callgate::store::port::Records;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::store::shared::SharedStore;
use callgate::store::shared::cases;
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
use callgate::token::Repeat;
use callgate::token::ReplayKey;
use callgate::token::ReplayOptions;
use callgate::token::SealedAnswer;
use serde_json::json;

use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::device;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::kit::token;
use crate::stores::kit::value;
use crate::support::log::Log;

/// What happens just before the next commit arrives.
type Hook = Box<dyn FnOnce() -> Pending<'static, ()> + Send>;

/// A node's own way to a database that others use, too.
#[derive(Default)]
struct Rift {
    engine: Arc<MapEngine>,
    before_commit: Mutex<Option<Hook>>,
    before_touch: Mutex<Option<Hook>>,
    /// Replies to claims and commits that will be lost.
    losses: AtomicUsize,
    commits: AtomicUsize,
}

impl Rift {
    fn to(engine: &Arc<MapEngine>) -> Arc<Self> {
        Arc::new(Self { engine: Arc::clone(engine), ..Self::default() })
    }

    fn before_commit(&self, hook: impl FnOnce() -> Pending<'static, ()> + Send + 'static) {
        *self.before_commit.lock().unwrap() = Some(Box::new(hook));
    }

    fn before_touch(&self, hook: impl FnOnce() -> Pending<'static, ()> + Send + 'static) {
        *self.before_touch.lock().unwrap() = Some(Box::new(hook));
    }

    /// The answer, unless it is lost.
    fn answer<T>(&self, answer: T) -> Result<T, StoreError> {
        let lose = |left: usize| left.checked_sub(1);
        match self.losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose) {
            Ok(_) => Err(StoreError::Unreachable("the reply is lost".into())),
            Err(_) => Ok(answer),
        }
    }
}

impl fmt::Debug for Rift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rift({:?})", self.engine)
    }
}

impl Engine for Rift {
    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        Box::pin(async move { self.answer(self.engine.claim(order).await?) })
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        Box::pin(async move {
            let hook = self.before_commit.lock().unwrap().take();
            if let Some(hook) = hook {
                hook().await?;
            }
            self.commits.fetch_add(1, Ordering::SeqCst);
            self.answer(self.engine.commit(commit).await?)
        })
    }

    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        self.engine.read(id)
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        self.engine.find(key)
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        Box::pin(async move {
            let hook = self.before_touch.lock().unwrap().take();
            if let Some(hook) = hook {
                hook().await?;
            }
            self.engine.touch(uses).await
        })
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

    fn records(&self) -> &dyn Records {
        self.engine.records()
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

/// A database with two nodes, and the way of the first to it.
fn two_nodes() -> (Arc<MapEngine>, Arc<Rift>, Arc<SharedStore>, Arc<SharedStore>) {
    let engine = Arc::new(MapEngine::default());
    let rift = Rift::to(&engine);
    let here = SharedStore::new(Arc::clone(&rift) as _);
    let there = SharedStore::new(Arc::clone(&engine) as _);
    (engine, rift, here, there)
}

#[tokio::test]
async fn a_write_that_comes_too_late_is_decided_again() {
    let (_, rift, here, there) = two_nodes();
    let id = session(&*here).await.id;
    let other = Arc::clone(&there);
    rift.before_commit(move || {
        Box::pin(async move {
            other.patch(START, id, Right::Operator, set("there", &json!(1))).await?;
            Ok(())
        })
    });
    let mine = here.patch(START, id, Right::Operator, set("here", &json!(1))).await.unwrap();
    assert!(matches!(mine, Patched::Done(_)), "{mine:?}");
    for (node, name) in [(&here, "here"), (&here, "there"), (&there, "here"), (&there, "there")] {
        assert_eq!(value(&**node, id, name).await, json!(1), "{name} is lost");
    }
    let (other, fresh) = (Arc::clone(&there), device());
    rift.before_commit(move || {
        Box::pin(async move {
            other.end(START, id, Right::Operator).await?;
            Ok(())
        })
    });
    let late = Patch { rotate: Some(fresh), ..set("late", &json!(1)) };
    let late = here.patch(START, id, Right::Operator, late).await.unwrap();
    assert!(matches!(late, Patched::Gone), "{late:?}");
}

/// What a node remembers may be wrong, and then a refusal would be.
#[tokio::test]
async fn a_refusal_is_never_answered_from_memory() {
    let (_, _, here, there) = two_nodes();
    let id = session(&*here).await.id;
    let mut full = Vec::new();
    loop {
        let next = token(id);
        match here.mint(START, Right::Operator, Patch::default(), next.clone()).await.unwrap() {
            Minted::Done(_) => full.push(next),
            other => break assert!(matches!(other, Minted::TooMany), "{other:?}"),
        }
    }
    assert!(there.revoke(START, full[0].id).await.unwrap());
    minted(&*here, id).await;
    let share = Claim { row_mode: RestoreMode::Share, ..claim(&full[1]) };
    let redeemed = there.redeem(START, share.clone()).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    assert!(
        here.detach(START, id, Right::Operator, share.newcomer.id)
            .await
            .unwrap()
            .done()
            .unwrap_or_default(),
        "it is known there alone"
    );
    let revision = {
        there.patch(START, id, Right::Operator, set("key", &json!(1))).await.unwrap();
        let opened = there.look(START, id, Right::Operator).await.unwrap().done().unwrap();
        opened.record.storage.revision("key")
    };
    let expects = Patch { expect: Some(("key".into(), revision)), ..set("key", &json!(2)) };
    let patched = here.patch(START, id, Right::Operator, expects).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
}

/// A use does not move a version, so that uses do not have writers decide again.
#[tokio::test]
async fn a_session_that_is_used_elsewhere_is_not_ended_for_want_of_use() {
    let (_, rift, here, there) = two_nodes();
    let founded = session(&*there).await;
    let (id, credential) = (founded.id, founded.devices[0].digest);
    let idle = Lifetime::default().idle();
    let (last, over) = (START.after(idle / 2), START.after(idle));
    let other = Arc::clone(&there);
    rift.before_commit(move || {
        Box::pin(async move {
            other.resume(last, id, credential).await?;
            other.flush().await
        })
    });
    let resumed = here.resume(over, id, credential).await.unwrap();
    assert!(matches!(resumed, Resumed::Open(_)), "{resumed:?}");
    assert!(here.look(over, id, Right::Operator).await.unwrap().done().is_some());
}

/// What a database that takes over has not heard of, a node may remember.
#[tokio::test]
async fn what_a_node_remembers_of_a_lost_write_replaces_nothing() {
    let (engine, _, here, there) = two_nodes();
    let id = session(&*here).await.id;
    let before = engine.snapshot();
    here.patch(START, id, Right::Operator, set("lost", &json!(1))).await.unwrap();
    engine.fail_over(before);
    there.patch(START, id, Right::Operator, set("there", &json!(2))).await.unwrap();
    here.patch(START, id, Right::Operator, set("here", &json!(3))).await.unwrap();
    for (name, kept) in [("lost", json!(null)), ("there", json!(2)), ("here", json!(3))] {
        assert_eq!(value(&*here, id, name).await, kept, "{name}");
    }
}

/// A redemption that the database does not decide by itself is read, decided and written.
#[tokio::test]
async fn a_fail_over_between_reading_and_writing_grants_nothing() {
    let (engine, rift, here, there) = two_nodes();
    let id = session(&*here).await.id;
    let token = minted(&*here, id).await;
    let transfer = || Claim { row_mode: RestoreMode::Transfer, ..claim(&token) };
    let before = engine.snapshot();
    let failing = Arc::clone(&engine);
    rift.before_commit(move || {
        Box::pin(async move {
            failing.fail_over(before);
            Ok(())
        })
    });
    let torn = here.redeem(START, transfer()).await.unwrap();
    assert_eq!(rift.commits.load(Ordering::SeqCst), 3, "founded, minted, and tried");
    assert!(matches!(torn, Redeemed::Expired), "{torn:?}");
    let later = there.redeem(START, transfer()).await.unwrap();
    assert!(matches!(later, Redeemed::Expired), "{later:?}");
}

/// Whether a run ended may be what was lost, so nobody runs again in its place.
#[tokio::test]
async fn after_a_fail_over_no_repeat_takes_over() {
    const RUN: Duration = Duration::from_secs(30);
    let (engine, _, here, there) = two_nodes();
    let key = ReplayKey { call: Digest::from_bytes([1; 32]), body: Digest::from_bytes([2; 32]) };
    let window = Duration::from_hours(2);
    let wish = ReplayOptions { key, window, lease: RUN, may_take_over: true };
    let token = minted(&*here, session(&*here).await.id).await;
    let callback = || Claim { repeat: Some(wish), ..claim(&token) };
    let first = callback();
    let won = here.redeem(START, first.clone()).await.unwrap();
    assert!(matches!(won, Redeemed::Granted(_)), "{won:?}");
    let before = engine.snapshot();
    let ending = Ending::Answered { answer: SealedAnswer::from_bytes(*b"answer"), right: None };
    let conclusion = Conclusion { token: token.digest, run: first.id, ending };
    assert_eq!(here.conclude(START, conclusion).await.unwrap(), Concluded::Kept);
    let late = START.after(RUN).after(CLOCKS_APART_MAX);
    let repeat = there.redeem(late, callback()).await.unwrap();
    assert!(matches!(repeat, Redeemed::Repeats(_, Repeat::Answered(_))), "{repeat:?}");
    engine.fail_over(before);
    for node in [&here, &there] {
        let repeat = node.redeem(late, callback()).await.unwrap();
        assert!(matches!(repeat, Redeemed::Used(at, _) if at == START), "{repeat:?}");
    }
}

/// Nobody but the caller asks again, and by the same name.
#[tokio::test]
async fn a_lost_reply_is_told_as_lost_and_granted_once() {
    let (_, rift, here, there) = two_nodes();
    for row_mode in [RestoreMode::Share, RestoreMode::Transfer] {
        let token = minted(&*there, session(&*there).await.id).await;
        let attempt = Claim { row_mode, ..claim(&token) };
        rift.losses.store(1, Ordering::SeqCst);
        // The reply to a transfer is that of its commit: the claim before it changes nothing.
        if row_mode == RestoreMode::Transfer {
            rift.losses.store(0, Ordering::SeqCst);
            let losing = Arc::clone(&rift);
            rift.before_commit(move || {
                losing.losses.store(1, Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            });
        }
        let lost = here.redeem(START, attempt.clone()).await;
        assert!(matches!(lost, Err(StoreError::Unreachable(_))), "{lost:?}");
        let other = there.redeem(START, claim(&token)).await.unwrap();
        assert!(matches!(other, Redeemed::Used(..)), "{other:?}");
        for node in [&here, &there] {
            let again = node.redeem(START, attempt.clone()).await.unwrap();
            assert!(matches!(again, Redeemed::Granted(_)), "{again:?}");
        }
    }
}

/// Whether a lost write was done, the node finds out before it says anything about it.
#[tokio::test]
async fn a_write_whose_reply_is_lost_is_there_once() {
    let (_, rift, here, _) = two_nodes();
    let id = session(&*here).await.id;
    rift.losses.store(1, Ordering::SeqCst);
    let lost = here.patch(START, id, Right::Operator, set("key", &json!(1))).await;
    assert!(matches!(lost, Err(StoreError::Unreachable(_))), "{lost:?}");
    assert_eq!(rift.commits.load(Ordering::SeqCst), 2, "founded, and written once");
    assert_eq!(value(&*here, id, "key").await, json!(1));
    let expects = Patch { expect: Some(("key".into(), 0)), ..set("key", &json!(2)) };
    let patched = here.patch(START, id, Right::Operator, expects).await.unwrap();
    assert!(matches!(patched, Patched::Conflict(_)), "{patched:?}");
}

/// Whether another node finds a session alive at this minute.
async fn lives_elsewhere(engine: &Arc<MapEngine>, id: SessionId, minute: u64) -> bool {
    let other = SharedStore::new(engine.clone());
    let then = START.after(Duration::from_mins(minute));
    other.look(then, id, Right::Operator).await.unwrap().done().is_some()
}

#[tokio::test]
async fn a_use_outlives_an_error_of_the_database() {
    let engine = Arc::new(MapEngine::default());
    let rift = Rift::to(&engine);
    let store = SharedStore::new(rift.clone());
    let record = session(&*store).await;
    let then = START.after(Duration::from_mins(50));
    store.resume(then, record.id, record.devices[0].digest).await.unwrap();
    rift.before_touch(|| Box::pin(async { Err(StoreError::Refused("a test")) }));
    store.flush().await.unwrap_err();
    store.flush().await.unwrap();
    assert!(lives_elsewhere(&engine, record.id, 100).await);
}

#[tokio::test]
async fn a_use_outlives_the_flush_during_which_it_comes() {
    let engine = Arc::new(MapEngine::default());
    let rift = Rift::to(&engine);
    let store = SharedStore::new(rift.clone());
    let record = session(&*store).await;
    let (id, credential) = (record.id, record.devices[0].digest);
    store.resume(START.after(Duration::from_mins(10)), id, credential).await.unwrap();
    let busy = Arc::clone(&store);
    rift.before_touch(move || {
        Box::pin(async move {
            let then = START.after(Duration::from_mins(50));
            busy.resume(then, id, credential).await.map(|_| ())
        })
    });
    store.flush().await.unwrap();
    store.flush().await.unwrap();
    assert!(lives_elsewhere(&engine, id, 100).await);
}

/// The rows of a token say less than the token itself, so that the database grants it to a handler
/// that it is not for.
#[tokio::test]
async fn a_wrong_grant_of_the_database_is_undone_although_another_node_writes() {
    let (log, _capture) = Log::capture();
    let (engine, rift, here, there) = two_nodes();
    let misled = cases::mislead(&*engine).await.unwrap();
    let (id, now) = (misled.session, misled.now);
    rift.before_commit(move || {
        Box::pin(async move {
            there.patch(now, id, Right::Operator, set("there", &json!(1))).await?;
            Ok(())
        })
    });
    let refused = here.redeem(now, misled.wrong.clone()).await.unwrap();
    assert!(matches!(refused, Redeemed::WrongHandler), "{refused:?}");
    log.has(&["store.rule_differs"]);
    assert_eq!(value(&*here, id, "there").await, json!(1));
    let opened = here.look(now, id, Right::Operator).await.unwrap().done().unwrap();
    assert!(opened.record.device(&misled.wrong.newcomer.digest).is_none(), "nobody has joined");
    assert_eq!(here.tokens(now, None, 9).await.unwrap().len(), 1, "it is unspent");
    let granted = here.redeem(now, misled.right).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
}
