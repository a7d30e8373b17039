//! The rules of the engine, one by one; `mirror` goes through their combinations.

use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::engine::Asks;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::Found;
use callgate::store::shared::engine::Mark;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenChange;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::TokenRow;

use super::kit;
use super::kit::HOUR_MS;
use super::kit::NOW;
use super::kit::after_ms;
use super::kit::claim_id;
use super::kit::commit;
use super::kit::digest;
use super::kit::order;
use super::kit::row;
use super::kit::session_id;
use super::kit::token;

/// The session of most tests.
const HOME: SessionId = SessionId::from_bytes([7; 16]);

/// Whether a claim is granted, of a token and a session that are as usual but for this.
async fn grants(
    session: SessionRow,
    minted: TokenRow,
    change: impl FnOnce(&mut ClaimOrder),
) -> Option<bool> {
    let engine = kit::engine().await?;
    let mut order = order(minted.digest);
    kit::found(&*engine, session, minted).await;
    change(&mut order);
    let claimed = engine.claim(order).await.unwrap();
    engine.close().await.unwrap();
    Some(claimed.granted)
}

#[tokio::test]
async fn a_plain_claim_is_granted_in_one_step() {
    let Some(engine) = kit::engine().await else { return };
    kit::found(&*engine, row(), token(1, HOME)).await;
    let before = engine.find(TokenKey::Digest(digest(1))).await.unwrap();
    let run = Some((b"run".to_vec(), after_ms(9 * HOUR_MS)));
    let later = ClaimOrder { now: after_ms(5_000), run, ..order(digest(1)) };
    let claimed = engine.claim(later.clone()).await.unwrap();
    assert!(claimed.granted);
    assert_eq!(claimed.found, before, "a claim tells what was there before it");

    let found = engine.find(TokenKey::Digest(digest(1))).await.unwrap().unwrap();
    assert_eq!(found.token.claim, Some((later.id, later.now)));
    assert_eq!((found.token.run, found.token.forget_at), (b"run".to_vec(), after_ms(9 * HOUR_MS)));
    let session = found.session.unwrap();
    assert_eq!((session.version, session.seen_at), (2, later.now));
    assert_eq!(session.devices, [digest(0xd1), later.newcomer_digest]);
    assert_eq!((session.joined, session.unspent), (vec![later.newcomer.clone()], Vec::new()));
    assert_eq!(engine.find(TokenKey::Name(TokenId::from_bytes([1; 8]))).await.unwrap(), None);

    let again = engine.claim(later).await.unwrap();
    assert!(!again.granted && again.found.unwrap().token.claim.is_some());
}

/// The digest of the second entry begins, as bytes go, with the end of the first.
#[tokio::test]
async fn a_list_is_searched_entry_by_entry() {
    let Some(engine) = kit::engine().await else { return };
    let first = TokenRow { expires_at: Timestamp::from_millis(3), ..token(2, HOME) };
    let second = token(3, HOME);
    let unspent = vec![kit::unspent(&first), kit::unspent(&second)];
    let session = Some(SessionRow { unspent, ..row() });
    let founding = Commit { session, mint: Some(second), ..commit(HOME, Expect::Absent) };
    assert_eq!(engine.commit(founding).await.unwrap(), Committed::Done);
    assert!(engine.claim(order(digest(3))).await.unwrap().granted);
    let left = engine.read(HOME).await.unwrap().unwrap().unspent;
    assert_eq!(left, [kit::unspent(&first)]);
}

#[tokio::test]
async fn no_claim_is_granted_of_what_is_over() {
    let own = |change: fn(&mut TokenRow)| {
        let mut minted = token(1, HOME);
        change(&mut minted);
        minted
    };
    let plain = |_: &mut ClaimOrder| {};
    let Some(granted) = grants(row(), token(1, HOME), plain).await else { return };
    assert!(granted);
    let late = |order: &mut ClaimOrder| order.now = after_ms(HOUR_MS / 2);
    assert_eq!(grants(row(), token(1, HOME), late).await, Some(false), "from its last moment on");
    let in_time = |order: &mut ClaimOrder| order.now = after_ms(HOUR_MS / 2 - 1);
    assert_eq!(grants(row(), token(1, HOME), in_time).await, Some(true));
    let claimed = own(|minted| minted.claim = Some((claim_id(9), NOW)));
    assert_eq!(grants(row(), claimed, plain).await, Some(false));
    let idle = SessionRow { idle_ms: 10, ..row() };
    let over = |order: &mut ClaimOrder| order.now = after_ms(10);
    assert_eq!(grants(idle, token(1, HOME), over).await, Some(true), "the token keeps it");
    let old = SessionRow { absolute_at: after_ms(10), ..row() };
    assert_eq!(grants(old, token(1, HOME), over).await, Some(false));
    let ended = SessionRow { ended_at: Some(NOW), ..row() };
    assert_eq!(grants(ended, token(1, HOME), plain).await, Some(false));
}

#[tokio::test]
async fn no_claim_is_granted_to_the_wrong_handler() {
    let bound = || TokenRow { handlers: vec!["Pay.done".into(), "Pay.x".into()], ..token(1, HOME) };
    let by = |name: &'static str| move |order: &mut ClaimOrder| order.handler = name.into();
    let Some(granted) = grants(row(), bound(), by("Pay.x")).await else { return };
    assert!(granted);
    for wrong in ["Pay.X", "Pay", "", "Pay.done,Pay.x"] {
        assert_eq!(grants(row(), bound(), by(wrong)).await, Some(false), "{wrong}");
    }
}

#[tokio::test]
async fn no_claim_is_granted_before_a_person_was_asked() {
    let asks = |click, browser, signed_in| {
        move |order: &mut ClaimOrder| order.asks = Asks { click, browser, signed_in }
    };
    let minted = |confirm, binding| TokenRow { confirm, binding, ..token(1, HOME) };
    let own = Some(digest(0xb1));
    let cases = [
        // (the token's wish, its binding), (the row's wish, the browser, signed in), granted
        (minted(0, None), asks(Some(0), None, None), true),
        (minted(2, own), asks(None, None, None), true),
        (minted(2, own), asks(Some(0), own, None), false),
        (minted(0, own), asks(Some(2), own, None), false),
        (minted(0, own), asks(Some(1), own, None), true),
        (minted(1, own), asks(Some(0), own, None), true),
        (minted(1, own), asks(Some(0), None, None), false),
        (minted(1, own), asks(Some(0), Some(digest(0xb2)), None), false),
        (minted(1, None), asks(Some(0), None, None), false),
        (minted(0, None), asks(None, None, Some(HOME)), true),
        (minted(0, None), asks(None, None, Some(session_id(8))), false),
    ];
    for (number, (minted, asks, expected)) in cases.into_iter().enumerate() {
        let Some(granted) = grants(row(), minted, asks).await else { return };
        assert_eq!(granted, expected, "case {number}");
    }
    let context = TokenRow { mode: Some(RestoreMode::Context), ..token(1, HOME) };
    let elsewhere = asks(None, None, Some(session_id(8)));
    assert_eq!(grants(row(), context, elsewhere).await, Some(true), "nobody is moved");
}

#[tokio::test]
async fn who_joins_depends_on_the_mode_and_on_who_is_there() {
    let Some(engine) = kit::engine().await else { return };
    let own = Some((HOME, digest(0xd1)));
    let cases = [
        // mode of the token, auto shares, current, devices afterwards
        (None, true, None, Some(2)),
        (None, false, None, Some(1)),
        (Some(RestoreMode::Share), false, None, Some(2)),
        (Some(RestoreMode::Context), true, None, Some(1)),
        (Some(RestoreMode::Transfer), true, None, None),
        (Some(RestoreMode::Share), true, own, Some(1)),
        (Some(RestoreMode::Share), true, Some((HOME, digest(0xd9))), Some(2)),
        (Some(RestoreMode::Share), true, Some((session_id(8), digest(0xd1))), Some(2)),
    ];
    for (number, (mode, auto_shares, current, devices)) in cases.into_iter().enumerate() {
        let seed = 10 + u8::try_from(number).unwrap();
        let id = session_id(seed);
        let current = current.map(|(at, digest)| (if at == HOME { id } else { at }, digest));
        kit::found(&*engine, row(), TokenRow { mode, ..token(seed, id) }).await;
        let order = ClaimOrder { auto_shares, current, ..order(digest(seed)) };
        let claimed = engine.claim(order).await.unwrap();
        assert_eq!(claimed.granted, devices.is_some(), "case {number}");
        let session = engine.read(id).await.unwrap().unwrap();
        assert_eq!(session.devices.len(), devices.unwrap_or(1), "case {number}");
        assert_eq!(session.joined.len(), session.devices.len() - 1, "case {number}");
    }
    let full = TokenRow { mode: Some(RestoreMode::Share), ..token(1, HOME) };
    kit::found(&*engine, row(), full).await;
    let narrow = ClaimOrder { devices_max: 1, ..order(digest(1)) };
    assert!(!engine.claim(narrow.clone()).await.unwrap().granted, "there is no room");
    let inside = ClaimOrder { current: own, ..narrow };
    assert!(engine.claim(inside).await.unwrap().granted, "and who is in needs none");
}

#[tokio::test]
async fn a_commit_meets_the_session_that_it_expects_or_writes_nothing() {
    let Some(engine) = kit::engine().await else { return };
    let write = |expect| Commit { session: Some(row()), ..commit(HOME, expect) };
    let nobody = engine.commit(write(Expect::Version(1))).await.unwrap();
    assert_eq!(nobody, Committed::Stale(None), "nothing is created on update");
    assert_eq!(engine.read(HOME).await.unwrap(), None);
    assert_eq!(engine.commit(write(Expect::Absent)).await.unwrap(), Committed::Done);
    let there = engine.read(HOME).await.unwrap();
    assert_eq!(there, Some(SessionRow { version: 1, ..row() }));
    let stale = Committed::Stale(there);
    assert_eq!(engine.commit(write(Expect::Absent)).await.unwrap(), stale);
    assert_eq!(engine.commit(write(Expect::Version(2))).await.unwrap(), stale);
    let unseen = Commit { expect_seen: Some(after_ms(1)), ..write(Expect::Version(1)) };
    assert_eq!(engine.commit(unseen).await.unwrap(), stale);
    let seen = Commit { expect_seen: Some(NOW), ..commit(HOME, Expect::Version(1)) };
    assert_eq!(engine.commit(seen).await.unwrap(), Committed::Done);
    assert_eq!(engine.read(HOME).await.unwrap(), Some(SessionRow { version: 2, ..row() }));
    let earlier = SessionRow { seen_at: after_ms(0), doc: b"new".to_vec(), ..row() };
    engine.touch(vec![(HOME, after_ms(70))]).await.unwrap();
    let earlier = Commit { session: Some(earlier), ..commit(HOME, Expect::Version(2)) };
    assert_eq!(engine.commit(earlier).await.unwrap(), Committed::Done);
    let after = engine.read(HOME).await.unwrap().unwrap();
    assert_eq!((after.seen_at, after.doc), (after_ms(70), b"new".to_vec()));
}

#[tokio::test]
async fn a_token_is_minted_once() {
    let Some(engine) = kit::engine().await else { return };
    kit::found(&*engine, row(), token(1, HOME)).await;
    let id = session_id(8);
    let second = Commit {
        session: Some(row()),
        mint: Some(TokenRow { session: id, ..token(1, id) }),
        ..commit(id, Expect::Absent)
    };
    assert_eq!(engine.commit(second).await.unwrap(), Committed::TokenExists);
    assert_eq!(engine.read(id).await.unwrap(), None, "nothing is written");
    // Of those that mint the same one at once, one does.
    let founding = |seed: u8| {
        let (engine, id) = (engine.clone(), session_id(seed));
        tokio::spawn(async move {
            let mint = Some(TokenRow { session: id, ..token(2, id) });
            let commit = Commit { session: Some(row()), mint, ..commit(id, Expect::Absent) };
            engine.commit(commit).await.unwrap()
        })
    };
    let mut done = 0;
    for other in (20..28).map(founding).collect::<Vec<_>>() {
        match other.await.unwrap() {
            Committed::Done => done += 1,
            Committed::TokenExists => {}
            odd => panic!("{odd:?}"),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn a_void_token_is_granted_to_nobody_and_a_commit_can_ask_for_its_fence() {
    let Some(engine) = kit::engine().await else { return };
    kit::found(&*engine, row(), token(1, HOME)).await;
    let fenced = |version| Commit {
        expect_fence: Some(digest(1)),
        ..commit(HOME, Expect::Version(version))
    };
    assert_eq!(engine.commit(fenced(1)).await.unwrap(), Committed::Done);
    let void = Mark { digest: digest(1), change: TokenChange::Void };
    let void = Commit { marks: vec![void], ..commit(HOME, Expect::Version(2)) };
    assert_eq!(engine.commit(void).await.unwrap(), Committed::Done);
    assert_eq!(engine.commit(fenced(3)).await.unwrap(), Committed::Unfenced);
    let claimed = engine.claim(order(digest(1))).await.unwrap();
    let found = claimed.found.unwrap();
    assert!(!claimed.granted && !found.fenced && found.token.claim.is_none());
    let unknown = Commit { expect_fence: Some(digest(9)), ..commit(HOME, Expect::Version(3)) };
    assert_eq!(engine.commit(unknown).await.unwrap(), Committed::Unfenced);
    assert_eq!(engine.read(HOME).await.unwrap().unwrap().version, 3);
}

#[tokio::test]
async fn a_use_moves_forward_and_brings_nobody_back() {
    let Some(engine) = kit::engine().await else { return };
    kit::found(&*engine, row(), token(1, HOME)).await;
    let ended = SessionRow { ended_at: Some(NOW), ..SessionRow::default() };
    let end = Commit { session: Some(ended), ..commit(session_id(8), Expect::Absent) };
    engine.commit(end).await.unwrap();
    let uses = [(HOME, 5), (HOME, 3), (session_id(8), 5), (session_id(9), 5)];
    let uses = uses.map(|(id, ms)| (id, after_ms(ms))).to_vec();
    engine.touch(uses).await.unwrap();
    let home = engine.read(HOME).await.unwrap().unwrap();
    assert_eq!((home.seen_at, home.version), (after_ms(5), 1));
    engine.touch(vec![(HOME, NOW)]).await.unwrap();
    assert_eq!(engine.read(HOME).await.unwrap().unwrap().seen_at, after_ms(5));
    let ended = engine.read(session_id(8)).await.unwrap().unwrap();
    assert_eq!((ended.seen_at.millis(), ended.ended_at), (0, Some(NOW)));
    assert_eq!(engine.read(session_id(9)).await.unwrap(), None);
}

#[tokio::test]
async fn a_sweep_ends_what_is_over_and_forgets_what_has_been() {
    let Some(engine) = kit::engine().await else { return };
    kit::found(&*engine, row(), token(1, HOME)).await;
    kit::found(&*engine, row(), token(2, session_id(8))).await;
    engine.touch(vec![(session_id(8), after_ms(HOUR_MS / 2))]).await.unwrap();
    assert_eq!(engine.sweep(after_ms(HOUR_MS - 1), 100).await.unwrap(), 0);
    let over = after_ms(HOUR_MS);
    // One session; the other was used since. And both tokens.
    assert_eq!(engine.sweep(over, 100).await.unwrap(), 3);
    let ended = engine.read(HOME).await.unwrap().unwrap();
    assert_eq!((ended.ended_at, ended.version), (Some(over), 2));
    assert!(ended.doc.is_empty() && ended.devices.is_empty() && ended.unspent.is_empty());
    let other = engine.read(session_id(8)).await.unwrap().unwrap();
    assert_eq!((other.ended_at, other.version), (None, 1));
    assert_eq!(engine.find(TokenKey::Digest(digest(1))).await.unwrap(), None);
    let forgotten = over.after(TOMBSTONE);
    assert_eq!(engine.sweep(forgotten, 1).await.unwrap(), 1);
    assert_eq!(engine.sweep(forgotten, 100).await.unwrap(), 1);
    assert_eq!(engine.read(HOME).await.unwrap(), None);
    let late = engine.read(session_id(8)).await.unwrap().unwrap();
    assert_eq!(late.ended_at, Some(forgotten));
    assert_eq!(engine.sweep(forgotten.after(TOMBSTONE), 100).await.unwrap(), 1);
    assert_eq!(engine.sweep(forgotten.after(TOMBSTONE), 100).await.unwrap(), 0);
}

#[tokio::test]
async fn a_busy_session_rarely_comes_up_in_a_sweep() {
    let Some(url) = kit::url() else { return };
    let engine = kit::open_as(&url, "busy").await;
    kit::found(&*engine, row(), token(1, HOME)).await;
    let due = || {
        let sql = "SELECT due_at FROM callgate.session WHERE app = 'busy'";
        let due: u64 = kit::server().unwrap().lock().unwrap().sql(sql).parse().unwrap();
        due - NOW.millis()
    };
    let minute = HOUR_MS / 60;
    assert_eq!(due(), HOUR_MS);
    engine.touch(vec![(HOME, after_ms(29 * minute))]).await.unwrap();
    assert_eq!(due(), HOUR_MS, "a use moves no index");
    engine.touch(vec![(HOME, after_ms(31 * minute))]).await.unwrap();
    assert_eq!(due(), 91 * minute, "unless half of the time is used up");
    let late = ClaimOrder { now: after_ms(29 * minute), ..order(digest(1)) };
    assert!(engine.claim(late).await.unwrap().granted);
    assert_eq!(due(), 91 * minute);
    let shorter = SessionRow { idle_ms: 10 * minute, ..row() };
    let shorter = Commit { session: Some(shorter), ..commit(HOME, Expect::Version(2)) };
    engine.commit(shorter).await.unwrap();
    assert_eq!(due(), 41 * minute, "and it is never too late");
}

#[tokio::test]
async fn a_token_of_an_ended_session_is_not_remembered_for_a_year() {
    let Some(engine) = kit::engine().await else { return };
    let year = after_ms(366 * 24 * HOUR_MS);
    let long = TokenRow { expires_at: year, forget_at: year, ..token(1, HOME) };
    kit::found(&*engine, row(), long).await;
    let ended = SessionRow { ended_at: Some(NOW), ..SessionRow::default() };
    let due_at = NOW.after(TOMBSTONE);
    let end = Commit { session: Some(ended), due_at, ..commit(HOME, Expect::Version(1)) };
    engine.commit(end).await.unwrap();
    let found = engine.find(TokenKey::Digest(digest(1))).await.unwrap().unwrap();
    assert_eq!(found.token.forget_at, due_at);
    assert_eq!(engine.sweep(due_at, 100).await.unwrap(), 2);
}

#[tokio::test]
async fn pages_are_in_the_order_of_ids_and_of_one_application() {
    let Some(url) = kit::url() else { return };
    let engine = kit::open(&url).await;
    let other = kit::open(&url).await;
    for seed in [5, 3, 9, 1, 7] {
        kit::found(&*engine, row(), token(seed, session_id(seed))).await;
    }
    kit::found(&*other, row(), token(4, session_id(4))).await;
    let ended = SessionRow { ended_at: Some(NOW), ..SessionRow::default() };
    let end = Commit { session: Some(ended), ..commit(session_id(3), Expect::Version(1)) };
    engine.commit(end).await.unwrap();
    engine.claim(order(digest(9))).await.unwrap();
    let ids = |page: Vec<(SessionId, SessionRow)>| -> Vec<SessionId> {
        page.into_iter().map(|(id, _)| id).collect()
    };
    let page = |after, at_most| engine.sessions(after, at_most);
    assert_eq!(ids(page(None, 2).await.unwrap()), [session_id(1), session_id(5)]);
    assert_eq!(ids(page(Some(session_id(5)), 9).await.unwrap()), [session_id(7), session_id(9)]);
    assert_eq!(page(Some(session_id(9)), 9).await.unwrap(), []);
    let names = |page: Vec<Found>| -> Vec<Digest> {
        page.into_iter().map(|found| found.token.digest).collect()
    };
    let page = |after, at_most| engine.tokens(after, at_most);
    assert_eq!(names(page(None, 2).await.unwrap()), [digest(1), digest(5)]);
    let after = Some(TokenId::from_bytes([5; 8]));
    assert_eq!(names(page(after, 9).await.unwrap()), [digest(7)]);
}
