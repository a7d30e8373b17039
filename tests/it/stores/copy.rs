//! Moving what lives from one store to another: everything comes along, nothing can be redeemed
//! twice, and it can be broken off anywhere.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::SessionId;
use callgate::base::clock::ManualClock;
use callgate::session::AccessChange;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::copy::Copy;
use callgate::store::copy::CopyError;
use callgate::store::copy::Records;
use callgate::store::copy::Sessions;
use callgate::store::copy::Tally;
use callgate::store::copy::Tokens;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::live::Config;
use callgate::store::memory::MemoryStore;
use callgate::store::port::Opened;
use callgate::store::port::OperationKind;
use callgate::store::port::Patched;
use callgate::store::port::RecordChange;
use callgate::store::port::Redeemed;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;
use callgate::token::Token;
use serde_json::json;

use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::device;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::signed_in;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn embedded() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open_on(Disk::new(), Config::default()).unwrap())
}

fn shared() -> Arc<dyn Store> {
    SharedStore::new(Arc::new(MapEngine::default()))
}

fn copy(from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> Copy {
    let clock = Arc::new(ManualClock::at(START));
    Copy { from: Arc::clone(from), to: Arc::clone(to), clock }
}

/// Copies all there is, with the tokens.
async fn copied(from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> Tally {
    let (copy, mut tally) = (copy(from, to), Tally::default());
    assert!(copy.sessions(&mut tally, &mut |_| true).await.unwrap());
    assert!(copy.tokens(&mut tally, &mut |_| true).await.unwrap());
    assert!(copy.records(&mut tally, &mut |_| true).await.unwrap());
    tally
}

async fn patched(store: &dyn Store, id: SessionId, patch: Patch) {
    let patched = store.patch(START, id, Right::Operator, patch).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
}

/// A session with something of everything, and an unspent token of it.
async fn lived_in(store: &dyn Store) -> (Record, Token) {
    let record = session(store).await;
    let access = AccessChange {
        grant: vec!["clerk".into(), "admin".into()],
        user_name: Some("ada".to_owned()),
        known: true,
        ..AccessChange::default()
    };
    patched(store, record.id, Patch { access: Some(access), ..Patch::default() }).await;
    patched(store, record.id, set("cart", &json!({ "items": [1, 2], "ü": null }))).await;
    patched(store, record.id, set("gone", &json!(1))).await;
    let gone = vec![("gone".into(), None)];
    patched(store, record.id, Patch { entries: gone, ..Patch::default() }).await;
    let shared = minted(store, record.id).await;
    // A second browser joins.
    let joined = store.redeem(START, claim(&shared)).await.unwrap();
    assert!(matches!(joined, Redeemed::Granted(_)), "{joined:?}");
    let token = minted(store, record.id).await;
    (record, token)
}

async fn look(store: &dyn Store, id: SessionId) -> Opened {
    store.look(START, id, Right::Operator).await.unwrap().done().expect("a session that lives")
}

/// All of a record that can be seen, with the texts of the values and their revisions.
fn whole(opened: &Opened) -> String {
    let Record { id, created_at, lifetime, access, storage, devices, generation } = &*opened.record;
    let entries: Vec<_> =
        storage.entries().map(|(key, entry)| (key, entry.revision, entry.json.text())).collect();
    let last = storage.last_revision();
    format!("{id} {created_at} {lifetime:?} {access:?} {entries:?} {last} {devices:?} {generation}")
}

#[tokio::test]
async fn a_session_goes_through_every_store_and_stays_the_same() {
    let start = memory();
    let (record, token) = lived_in(&*start).await;
    let before = look(&*start, record.id).await;
    assert_eq!(before.record.devices.len(), 2);
    let way = [start, shared(), embedded(), shared(), memory()];
    for hop in way.windows(2) {
        let tally = copied(&hop[0], &hop[1]).await;
        assert_eq!(tally.sessions, Sessions { copied: 1, ..Sessions::default() });
        assert_eq!(tally.tokens, Tokens { moved: 1, ..Tokens::default() });
        let after = look(&*hop[1], record.id).await;
        assert_eq!(whole(&after), whole(&before));
        assert_eq!(after.seen_at, before.seen_at);
        assert!(matches!(hop[0].redeem(START, claim(&token)).await.unwrap(), Redeemed::Unknown));
        let there = hop[1].tokens(START, None, 10).await.unwrap();
        assert_eq!(there, std::slice::from_ref(&token));
    }
    let end = way.last().unwrap();
    assert!(matches!(end.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
    assert!(matches!(end.redeem(START, claim(&token)).await.unwrap(), Redeemed::Used(..)));
}

#[tokio::test]
async fn a_session_that_was_used_long_ago_does_not_begin_anew() {
    let (from, to) = (memory(), shared());
    let record = session(&*from).await;
    let copy = copy(&from, &to);
    let later = START.after(record.lifetime.idle() / 2);
    let copy = Copy { clock: Arc::new(ManualClock::at(later)), ..copy };
    assert!(copy.sessions(&mut Tally::default(), &mut |_| true).await.unwrap());
    assert_eq!(look(&*to, record.id).await.seen_at, START);
    let over = START.after(record.lifetime.idle());
    assert!(to.look(over, record.id, Right::Operator).await.unwrap().done().is_none());
}

#[tokio::test]
async fn a_copy_that_was_broken_off_goes_on() {
    let (from, to) = (memory(), shared());
    for _ in 0..200 {
        session(&*from).await;
    }
    let (copy, mut tally) = (copy(&from, &to), Tally::default());
    let mut pieces = 0;
    let mut twice = |_: &Tally| {
        pieces += 1;
        pieces < 3
    };
    assert!(!copy.sessions(&mut tally, &mut twice).await.unwrap());
    let before = tally.sessions.copied;
    assert!((1..200).contains(&before), "{tally:?}");
    let again = copied(&from, &to).await.sessions;
    assert_eq!(again, Sessions { copied: 200 - before, present: before, ..Sessions::default() });
    assert_eq!(copied(&from, &to).await.sessions.present, 200, "and once more");
}

#[tokio::test]
async fn what_is_there_already_stays_as_it_is_there() {
    let (from, to) = (memory(), shared());
    let mine = session(&*from).await;
    let (ended, shut_out) = (session(&*from).await, session(&*from).await);
    copied(&from, &to).await;
    patched(&*to, mine.id, set("k", &json!("new"))).await;
    assert!(to.end(START, ended.id, Right::Operator).await.unwrap().done().is_some());
    // None of the browsers that the old store knows opens it any more.
    let rotate = Patch { rotate: Some(device()), ..Patch::default() };
    patched(&*to, shut_out.id, rotate).await;
    let tally = copied(&from, &to).await;
    assert_eq!(tally.sessions, Sessions { present: 2, ended: 1, ..Sessions::default() });
    assert!(look(&*to, mine.id).await.record.storage.find("k").is_some());
    assert!(
        to.look(START, ended.id, Right::Operator).await.unwrap().done().is_none(),
        "it came back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_meanwhile_does_not_come_back() {
    let (from, to) = (memory(), shared());
    for _ in 0..100 {
        session(&*from).await;
    }
    let all = from.sessions(START, None, 100).await.unwrap();
    // Read with the first piece and written with a later one.
    let last = all.last().unwrap().record.id;
    let (copy, mut tally) = (copy(&from, &to), Tally::default());
    let inner = Arc::clone(&from);
    let ending = move |_: &Tally| {
        let inner = Arc::clone(&inner);
        tokio::task::block_in_place(move || {
            tokio::runtime::Handle::current()
                .block_on(inner.end(START, last, Right::Operator))
                .unwrap()
        });
        true
    };
    let copying = tokio::task::spawn(async move {
        let mut ending = ending;
        assert!(copy.sessions(&mut tally, &mut ending).await.unwrap());
        tally
    });
    let tally = copying.await.unwrap();
    assert_eq!(tally.sessions, Sessions { copied: 99, ended: 1, ..Sessions::default() });
    assert!(to.look(START, last, Right::Operator).await.unwrap().done().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_fate_is_unknown_is_in_neither_store() {
    let (inner, to) = (memory(), shared());
    let record = session(&*inner).await;
    let token = minted(&*inner, record.id).await;
    let faulty = Arc::new(Faulty::new(inner));
    let from: Arc<dyn Store> = faulty.clone();
    // It was taken back, by us or by nobody knows whom.
    faulty.lose(OperationKind::Revoke, Lose::Reply, When::Next(1));
    let tally = copied(&from, &to).await;
    assert_eq!(tally.tokens, Tokens { lost: 1, ..Tokens::default() });
    for store in [&from, &to] {
        assert!(matches!(store.redeem(START, claim(&token)).await.unwrap(), Redeemed::Unknown));
    }
    // A question that never arrived has done nothing.
    let token = minted(&*from, record.id).await;
    faulty.lose(OperationKind::Revoke, Lose::Request, When::Next(2));
    let tally = copied(&from, &to).await;
    assert_eq!(tally.tokens, Tokens { moved: 1, ..Tokens::default() });
    assert!(matches!(to.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
}

#[tokio::test(start_paused = true)]
async fn lost_replies_of_the_new_store_are_asked_for_again() {
    let (from, inner) = (memory(), shared());
    let record = session(&*from).await;
    let token = minted(&*from, record.id).await;
    let faulty = Arc::new(Faulty::new(inner));
    let to: Arc<dyn Store> = faulty.clone();
    for verb in [OperationKind::Create, OperationKind::Mint, OperationKind::Look] {
        faulty.lose(verb, Lose::Reply, When::Next(2));
    }
    let tally = copied(&from, &to).await;
    // The first question founded it; who asks again finds it there.
    assert_eq!(tally.sessions, Sessions { copied: 1, ..Sessions::default() });
    assert_eq!(tally.tokens, Tokens { moved: 1, ..Tokens::default() });
    assert!(matches!(to.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_come_back_ends_the_copy_and_no_token_is_touched() {
    let (from, inner) = (memory(), shared());
    let record = session(&*from).await;
    let token = minted(&*from, record.id).await;
    let faulty = Arc::new(Faulty::new(inner));
    let to: Arc<dyn Store> = faulty.clone();
    let (copy, mut tally) = (copy(&from, &to), Tally::default());
    faulty.lose(OperationKind::Create, Lose::Request, When::Every(1));
    let failed = copy.sessions(&mut tally, &mut |_| true).await.unwrap_err();
    assert!(matches!(failed, CopyError::To(StoreError::Unreachable(_))), "{failed}");
    faulty.heal();
    assert!(copy.sessions(&mut tally, &mut |_| true).await.unwrap());
    faulty.lose(OperationKind::Look, Lose::Request, When::Every(1));
    let failed = copy.tokens(&mut tally, &mut |_| true).await.unwrap_err();
    assert!(matches!(failed, CopyError::To(_)), "{failed}");
    assert_eq!(tally.tokens, Tokens { left: 1, ..Tokens::default() });
    assert!(matches!(from.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
}

#[tokio::test]
async fn a_token_stays_where_its_session_is() {
    let (from, to) = (memory(), shared());
    let record = session(&*from).await;
    let token = minted(&*from, record.id).await;
    let (copy, mut tally) = (copy(&from, &to), Tally::default());
    assert!(copy.tokens(&mut tally, &mut |_| true).await.unwrap());
    assert_eq!(tally.tokens, Tokens { left: 1, ..Tokens::default() });
    assert!(matches!(from.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
}

/// A standby that took over may have forgotten that a token was used; copying it would take the
/// fence away.
#[tokio::test]
async fn a_token_that_is_fenced_off_does_not_come_along() {
    let engine = Arc::new(MapEngine::default());
    let (from, to): (Arc<dyn Store>, _) = (SharedStore::new(engine.clone()), memory());
    let record = session(&*from).await;
    let token = minted(&*from, record.id).await;
    let standby = engine.snapshot();
    assert!(matches!(from.redeem(START, claim(&token)).await.unwrap(), Redeemed::Granted(_)));
    engine.fail_over(standby);
    // A node that knows nothing of what was.
    let from: Arc<dyn Store> = SharedStore::new(engine);
    let tally = copied(&from, &to).await;
    assert_eq!(tally.sessions.copied, 1);
    assert_eq!(tally.tokens, Tokens::default());
    assert!(matches!(to.redeem(START, claim(&token)).await.unwrap(), Redeemed::Unknown));
}

#[tokio::test]
async fn a_store_without_room_says_so_and_keeps_what_it_has() {
    let from = memory();
    for _ in 0..3 {
        signed_in(&*from).await;
    }
    let config = Config { sessions_max: 2, ..Config::default() };
    let to: Arc<dyn Store> = Arc::new(MemoryStore::with(config));
    let (copy, mut tally) = (copy(&from, &to), Tally::default());
    let failed = copy.sessions(&mut tally, &mut |_| true).await.unwrap_err();
    assert!(matches!(failed, CopyError::To(StoreError::Full)), "{failed}");
    assert_eq!(tally.sessions.copied, 2);
    assert_eq!(to.sessions(START.after(Duration::ZERO), None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn records_come_along_and_those_of_the_target_stay() {
    for (from, to) in [(memory(), embedded()), (embedded(), shared()), (shared(), memory())] {
        let kept = |key: &str, value: &str| RecordChange {
            key: key.to_owned(),
            expected: None,
            value: Some(value.as_bytes().to_vec()),
        };
        for nth in 0..300 {
            let key = format!("user:{nth:03}");
            assert!(from.write_records(vec![kept(&key, &key)]).await.unwrap());
        }
        assert!(to.write_records(vec![kept("user:007", "its own")]).await.unwrap());
        assert_eq!(copied(&from, &to).await.records, Records { copied: 299, present: 1 });
        let all = to.list_records("user:", None, 1_000).await.unwrap();
        assert_eq!(all.len(), 300);
        for (key, value) in all {
            let expected = if key == "user:007" { "its own" } else { &*key };
            assert_eq!(value, expected.as_bytes());
        }
        assert_eq!(copied(&from, &to).await.records, Records { copied: 0, present: 300 });
    }
}
