//! Rules about claims: the plain ones are granted in one step, and of the others nothing is
//! changed.

use std::sync::Arc;

use callgate::base::RestoreMode;
use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::Asks;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenRow;
use tokio::task::JoinSet;

use crate::rules::kit::HOUR;
use crate::rules::kit::MINUTE;
use crate::rules::kit::NEXT;
use crate::rules::kit::START;
use crate::rules::kit::digest;
use crate::rules::kit::find;
use crate::rules::kit::find_by_name;
use crate::rules::kit::found_with;
use crate::rules::kit::id;
use crate::rules::kit::minted;
use crate::rules::kit::order;
use crate::rules::kit::read;
use crate::rules::kit::row;
use crate::rules::kit::token;

pub(super) async fn a_plain_claim_is_granted_in_one_step(engine: Arc<dyn Engine>) {
    let (id, before, token) = minted(&*engine).await;
    let order = order(&token);
    let claimed = engine.claim(order.clone()).await.unwrap();
    assert!(claimed.granted);
    let found = claimed.found.unwrap();
    assert_eq!((found.token, found.fenced), (token.clone(), true));
    assert_eq!(found.session, Some(before.clone()));
    let after = find(&*engine, &token).await.unwrap();
    assert_eq!(after.token, TokenRow { claim: Some((order.id, order.now)), ..token.clone() });
    let joined = SessionRow {
        version: NEXT,
        seen_at: order.now,
        devices: vec![before.devices[0], order.newcomer_digest],
        joined: vec![order.newcomer.clone()],
        unspent: Vec::new(),
        ..before.clone()
    };
    assert_eq!(after.session, Some(joined.clone()));
    assert_eq!(read(&*engine, id).await, Some(joined));
    assert!(find_by_name(&*engine, &token).await.is_none());
    assert!(engine.tokens(None, 10).await.unwrap().is_empty());
    // Once more, and nothing changes.
    let again = engine.claim(order).await.unwrap();
    assert!(!again.granted);
    assert_eq!(again.found, Some(after));
}

/// What the browser of the cases has got.
struct Case {
    name: &'static str,
    token: fn(TokenRow) -> TokenRow,
    session: fn(SessionRow) -> SessionRow,
    order: fn(ClaimOrder, &TokenRow) -> ClaimOrder,
    is_plain: bool,
}

const SAME: Case = Case {
    name: "",
    token: |token| token,
    session: |row| row,
    order: |order, _| order,
    is_plain: true,
};

fn asks(order: ClaimOrder, click: u8, browser: Option<callgate::base::Digest>) -> ClaimOrder {
    ClaimOrder { asks: Asks { click: Some(click), browser, signed_in: None }, ..order }
}

fn at_the_edges_of_time() -> Vec<Case> {
    vec![
        Case { name: "plain", ..SAME },
        Case {
            name: "the last moment of the token",
            order: |order, token| ClaimOrder {
                now: callgate::base::Timestamp::from_millis(token.expires_at.millis() - 1),
                ..order
            },
            ..SAME
        },
        Case {
            name: "the token is expired",
            order: |order, token| ClaimOrder { now: token.expires_at, ..order },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the session is idle for long, and lives for its token",
            token: |token| TokenRow { expires_at: START.after(9 * HOUR), ..token },
            order: |order, _| ClaimOrder { now: START.after(HOUR), ..order },
            ..SAME
        },
        Case {
            name: "the session has lived for too long",
            session: |row| SessionRow { absolute_at: START.after(MINUTE), ..row },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the session has ended",
            session: |row| SessionRow {
                ended_at: Some(START),
                seen_at: row.seen_at,
                ..SessionRow::default()
            },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "it was claimed",
            token: |token| TokenRow {
                claim: Some((crate::rules::kit::claim_id(), START)),
                ..token
            },
            is_plain: false,
            ..SAME
        },
    ]
}

fn by_handlers_and_modes() -> Vec<Case> {
    vec![
        Case {
            name: "one of its handlers",
            token: |token| TokenRow {
                handlers: vec!["Pay.failed".to_owned(), "Pay.done".to_owned()],
                ..token
            },
            ..SAME
        },
        Case {
            name: "another handler",
            token: |token| TokenRow { handlers: vec!["Pay.done2".to_owned()], ..token },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "a part of a handler",
            token: |token| TokenRow { handlers: vec!["xPay.done".to_owned()], ..token },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the row transfers",
            order: |order, _| ClaimOrder { row_mode: RestoreMode::Transfer, ..order },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the mint transfers",
            token: |token| TokenRow { mode: Some(RestoreMode::Transfer), ..token },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the mint wins over a row that transfers",
            token: |token| TokenRow { mode: Some(RestoreMode::Share), ..token },
            order: |order, _| ClaimOrder { row_mode: RestoreMode::Transfer, ..order },
            ..SAME
        },
        Case {
            name: "no room for another browser",
            order: |order, _| ClaimOrder { devices_max: 1, ..order },
            is_plain: false,
            ..SAME
        },
        Case {
            name: "a context needs no room",
            order: |order, _| ClaimOrder { devices_max: 1, auto_shares: false, ..order },
            ..SAME
        },
    ]
}

fn by_consent() -> Vec<Case> {
    vec![
        Case { name: "nobody is asked", order: |order, _| asks(order, 0, None), ..SAME },
        Case {
            name: "everybody is asked",
            order: |order, _| asks(order, 2, None),
            is_plain: false,
            ..SAME
        },
        Case {
            name: "the mint wants everybody asked",
            token: |token| TokenRow { confirm: 2, ..token },
            order: |order, _| asks(order, 0, None),
            is_plain: false,
            ..SAME
        },
        Case {
            name: "everybody is asked, and has clicked",
            token: |token| TokenRow { confirm: 2, ..token },
            ..SAME
        },
        Case {
            name: "foreign browsers are asked, and this one minted it",
            token: |token| TokenRow { binding: Some(digest()), ..token },
            order: |order, token| asks(order, 1, token.binding),
            ..SAME
        },
        Case {
            name: "foreign browsers are asked, and this is one",
            token: |token| TokenRow { binding: Some(digest()), confirm: 1, ..token },
            order: |order, _| asks(order, 0, Some(digest())),
            is_plain: false,
            ..SAME
        },
        Case {
            name: "nobody knows who minted it",
            order: |order, _| asks(order, 1, None),
            is_plain: false,
            ..SAME
        },
        Case {
            name: "signed in elsewhere",
            order: |order, _| signed_in(order, id()),
            is_plain: false,
            ..SAME
        },
        Case {
            name: "signed in here",
            order: |order, token| signed_in(order, token.session),
            ..SAME
        },
        Case {
            name: "signed in elsewhere, in a context",
            order: |order, _| signed_in(ClaimOrder { auto_shares: false, ..order }, id()),
            ..SAME
        },
    ]
}

fn signed_in(order: ClaimOrder, session: callgate::base::SessionId) -> ClaimOrder {
    let asks = Asks { signed_in: Some(session), ..order.asks };
    ClaimOrder { asks, ..order }
}

pub(super) async fn each_case_is_plain_or_not(engine: Arc<dyn Engine>) {
    for case in
        at_the_edges_of_time().into_iter().chain(by_handlers_and_modes()).chain(by_consent())
    {
        let id = id();
        let token = (case.token)(token(id));
        found_with(&*engine, id, (case.session)(row()), Some(token.clone())).await;
        let before = find(&*engine, &token).await;
        let claimed = engine.claim((case.order)(order(&token), &token)).await.unwrap();
        assert_eq!(claimed.granted, case.is_plain, "{}", case.name);
        assert_eq!(claimed.found, before, "{}", case.name);
        let is_as_before = find(&*engine, &token).await == before;
        assert_eq!(is_as_before, !case.is_plain, "{}", case.name);
    }
}

pub(super) async fn a_run_begins_with_its_claim(engine: Arc<dyn Engine>) {
    for (until, forget_at) in
        [(START.after(9 * HOUR), START.after(9 * HOUR)), (START, START.after(20 * MINUTE))]
    {
        let (_, _, token) = minted(&*engine).await;
        let run = Some((b"run\n\0".to_vec(), until));
        let order = ClaimOrder { run, ..order(&token) };
        assert!(engine.claim(order.clone()).await.unwrap().granted);
        let held = find(&*engine, &token).await.unwrap().token;
        let claim = Some((order.id, order.now));
        assert_eq!(held, TokenRow { claim, run: b"run\n\0".to_vec(), forget_at, ..token });
    }
    // It is remembered as long as the run says.
    let late = START.after(8 * HOUR);
    engine.sweep(late, 100).await.unwrap();
    engine.sweep(late.after(TOMBSTONE), 100).await.unwrap();
}

pub(super) async fn nobody_joins_a_context_or_his_own_session(engine: Arc<dyn Engine>) {
    let context = |order: ClaimOrder, _: &SessionRow, _| ClaimOrder { auto_shares: false, ..order };
    let own = |order: ClaimOrder, row: &SessionRow, id| ClaimOrder {
        current: Some((id, row.devices[0])),
        devices_max: 1,
        ..order
    };
    for change in [context, own] {
        let (id, before, token) = minted(&*engine).await;
        let order = change(order(&token), &before, id);
        assert!(engine.claim(order.clone()).await.unwrap().granted);
        let after = read(&*engine, id).await.unwrap();
        let expected = SessionRow { version: NEXT, seen_at: order.now, unspent: vec![], ..before };
        assert_eq!(after, expected);
    }
    // The same credential of another session, and another credential of this one, are no reason.
    let (here, before, token) = minted(&*engine).await;
    let foreign = ClaimOrder { current: Some((id(), before.devices[0])), ..order(&token) };
    assert!(engine.claim(foreign).await.unwrap().granted);
    assert_eq!(read(&*engine, here).await.unwrap().devices.len(), 2);
    let (here, _, token) = minted(&*engine).await;
    let shut_out = ClaimOrder { current: Some((here, digest())), ..order(&token) };
    assert!(engine.claim(shut_out).await.unwrap().granted);
    assert_eq!(read(&*engine, here).await.unwrap().devices.len(), 2);
}

pub(super) async fn an_unknown_token_is_not_found(engine: Arc<dyn Engine>) {
    let claimed = engine.claim(order(&token(id()))).await.unwrap();
    assert!(!claimed.granted && claimed.found.is_none());
}

pub(super) async fn of_many_claims_one_is_granted(engine: Arc<dyn Engine>) {
    let (id, before, token) = minted(&*engine).await;
    let mut claimers = JoinSet::new();
    for _ in 0..64 {
        let (engine, order) = (Arc::clone(&engine), order(&token));
        claimers.spawn(async move { (order.id, engine.claim(order).await.unwrap()) });
    }
    let claims = claimers.join_all().await;
    let winners: Vec<_> = claims.iter().filter(|(_, claimed)| claimed.granted).collect();
    assert_eq!(winners.len(), 1);
    let held = find(&*engine, &token).await.unwrap();
    assert_eq!(held.token.claim.unwrap().0, winners[0].0);
    assert_eq!(held.session.unwrap().devices.len(), before.devices.len() + 1);
    assert_eq!(read(&*engine, id).await.unwrap().version, NEXT);
}
