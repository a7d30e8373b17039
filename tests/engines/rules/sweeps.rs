//! Rules about time: uses, and what is over.

use std::sync::Arc;

use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::KeptAnswer;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenRow;

use crate::rules::kit::HOUR;
use crate::rules::kit::MINUTE;
use crate::rules::kit::START;
use crate::rules::kit::digest;
use crate::rules::kit::find;
use crate::rules::kit::find_by_name;
use crate::rules::kit::found_with;
use crate::rules::kit::id;
use crate::rules::kit::minted;
use crate::rules::kit::read;
use crate::rules::kit::row;
use crate::rules::kit::token;

pub(super) async fn uses_move_forward_alone(engine: Arc<dyn Engine>) {
    let (first, second, unheard) = (id(), id(), id());
    let before = found_with(&*engine, first, row(), None).await;
    found_with(&*engine, second, row(), None).await;
    let later = START.after(MINUTE);
    engine.touch(vec![(first, later), (unheard, later), (second, START)]).await.unwrap();
    let used = SessionRow { seen_at: later, ..before };
    assert_eq!(read(&*engine, first).await, Some(used.clone()));
    assert_eq!(read(&*engine, second).await.unwrap().seen_at, START);
    assert_eq!(read(&*engine, unheard).await, None);
    engine.touch(vec![(first, START)]).await.unwrap();
    assert_eq!(read(&*engine, first).await, Some(used));
    engine.touch(Vec::new()).await.unwrap();
}

pub(super) async fn a_sweep_ends_what_is_over(engine: Arc<dyn Engine>) {
    let id = id();
    let minted = TokenRow { forget_at: START.after(90 * HOUR), ..token(id) };
    let kept = KeptAnswer { digest: digest(), at: START, bytes: 7 };
    let full = SessionRow { answers: vec![kept], ..row() };
    found_with(&*engine, id, full, Some(minted.clone())).await;
    let end = START.after(HOUR);
    let before = callgate::base::Timestamp::from_millis(end.millis() - 1);
    assert_eq!(engine.sweep(before, 10).await.unwrap(), 0);
    assert_eq!(read(&*engine, id).await.unwrap().ended_at, None);
    assert_eq!(engine.sweep(end, 10).await.unwrap(), 1);
    let ended = SessionRow {
        version: 2,
        seen_at: START,
        ended_at: Some(end),
        answers: vec![kept],
        ..SessionRow::default()
    };
    assert_eq!(read(&*engine, id).await, Some(ended.clone()));
    assert_eq!(find(&*engine, &minted).await.unwrap().session, Some(ended));
    assert!(engine.sessions(None, 10).await.unwrap().is_empty());
    assert!(engine.tokens(None, 10).await.unwrap().is_empty());
    // It is remembered, and then it is not.
    let forgotten = end.after(TOMBSTONE);
    let before = callgate::base::Timestamp::from_millis(forgotten.millis() - 1);
    assert_eq!(engine.sweep(before, 10).await.unwrap(), 0);
    assert_eq!(engine.sweep(forgotten, 10).await.unwrap(), 1);
    assert_eq!(read(&*engine, id).await, None);
    assert_eq!(engine.sweep(forgotten, 10).await.unwrap(), 0);
}

pub(super) async fn a_session_that_was_used_is_due_later(engine: Arc<dyn Engine>) {
    let id = id();
    found_with(&*engine, id, row(), None).await;
    engine.touch(vec![(id, START.after(30 * MINUTE))]).await.unwrap();
    assert_eq!(engine.sweep(START.after(HOUR), 10).await.unwrap(), 0);
    assert_eq!(engine.sweep(START.after(89 * MINUTE), 10).await.unwrap(), 0);
    assert_eq!(read(&*engine, id).await.unwrap().ended_at, None);
    assert_eq!(engine.sweep(START.after(90 * MINUTE), 10).await.unwrap(), 1);
    assert!(read(&*engine, id).await.unwrap().ended_at.is_some());
}

pub(super) async fn a_sweep_drops_tokens_at_their_time(engine: Arc<dyn Engine>) {
    let (_, _, token) = minted(&*engine).await;
    let before = callgate::base::Timestamp::from_millis(token.forget_at.millis() - 1);
    assert_eq!(engine.sweep(before, 10).await.unwrap(), 0);
    assert!(find(&*engine, &token).await.is_some());
    assert_eq!(engine.sweep(token.forget_at, 10).await.unwrap(), 1);
    assert!(find(&*engine, &token).await.is_none());
    assert!(find_by_name(&*engine, &token).await.is_none());
    assert!(engine.tokens(None, 10).await.unwrap().is_empty());
}

pub(super) async fn a_sweep_does_as_much_as_it_may(engine: Arc<dyn Engine>) {
    for _ in 0..20 {
        minted(&*engine).await;
    }
    let late = START.after(2 * HOUR);
    let (mut sweeps, mut swept) = (0, 0);
    loop {
        let many = engine.sweep(late, 7).await.unwrap();
        assert!(many <= 7, "{many}");
        if many == 0 {
            break;
        }
        (sweeps, swept) = (sweeps + 1, swept + many);
    }
    assert_eq!(swept, 40);
    assert!(sweeps >= 6, "{sweeps}");
    assert!(engine.sessions(None, 10).await.unwrap().is_empty());
}
