//! Rules about commits: all of it, or nothing.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::KeptAnswer;
use callgate::store::shared::engine::Mark;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenChange;
use callgate::store::shared::engine::TokenRow;
use tokio::task::JoinSet;

use crate::rules::kit::HOUR;
use crate::rules::kit::MINUTE;
use crate::rules::kit::START;
use crate::rules::kit::claim_id;
use crate::rules::kit::commit;
use crate::rules::kit::digest;
use crate::rules::kit::find;
use crate::rules::kit::find_by_name;
use crate::rules::kit::found_with;
use crate::rules::kit::id;
use crate::rules::kit::minted;
use crate::rules::kit::order;
use crate::rules::kit::read;
use crate::rules::kit::row;
use crate::rules::kit::slip;
use crate::rules::kit::token;

pub(super) async fn a_session_reads_back_as_it_was_written(engine: Arc<dyn Engine>) {
    let id = id();
    assert_eq!(read(&*engine, id).await, None);
    let kept = KeptAnswer { digest: digest(), at: START, bytes: u32::MAX };
    let full = SessionRow {
        absolute_at: START.after(12 * HOUR),
        joined: vec![b"one".to_vec(), b"two \"\xFF".to_vec()],
        devices: vec![digest(), digest(), digest()],
        answers: vec![kept, KeptAnswer { bytes: 0, ..kept }],
        ..row()
    };
    let minted = token(id);
    let written = found_with(&*engine, id, full, Some(minted)).await;
    assert_eq!(read(&*engine, id).await, Some(written.clone()));
    // A row that is written again has nothing of the old one.
    let bare = SessionRow { version: 2, ..row() };
    let session = Some(bare.clone());
    let commit = Commit { session, ..commit(id, Expect::Version(1)) };
    assert_eq!(engine.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(read(&*engine, id).await, Some(bare));
}

pub(super) async fn only_an_absent_session_is_founded(engine: Arc<dyn Engine>) {
    let id = id();
    let late = Commit { session: Some(row()), ..commit(id, Expect::Version(1)) };
    assert_eq!(engine.commit(late).await.unwrap(), Committed::Stale(None));
    assert_eq!(read(&*engine, id).await, None);
    let first = found_with(&*engine, id, row(), None).await;
    let again = Commit { session: Some(row()), ..commit(id, Expect::Absent) };
    assert_eq!(engine.commit(again).await.unwrap(), Committed::Stale(Some(first)));
}

pub(super) async fn a_commit_under_another_version_writes_nothing(engine: Arc<dyn Engine>) {
    let (id, before, old) = minted(&*engine).await;
    let new = token(id);
    for version in [0, 2, 10] {
        let late = Commit {
            session: Some(SessionRow { doc: b"late".to_vec(), ..row() }),
            mint: Some(new.clone()),
            marks: vec![Mark {
                digest: old.digest,
                change: TokenChange::Claim { id: claim_id(), at: START, forget_at: None },
            }],
            drops: vec![old.digest],
            ..commit(id, Expect::Version(version))
        };
        assert_eq!(engine.commit(late).await.unwrap(), Committed::Stale(Some(before.clone())));
    }
    assert_eq!(read(&*engine, id).await, Some(before.clone()));
    assert!(find(&*engine, &new).await.is_none());
    let found = find(&*engine, &old).await.unwrap();
    assert_eq!((found.token, found.fenced, found.session), (old, true, Some(before)));
}

pub(super) async fn a_commit_without_a_row_moves_the_version(engine: Arc<dyn Engine>) {
    let id = id();
    let before = found_with(&*engine, id, row(), None).await;
    let bare = commit(id, Expect::Version(1));
    assert_eq!(engine.commit(bare).await.unwrap(), Committed::Done);
    assert_eq!(read(&*engine, id).await, Some(SessionRow { version: 2, ..before }));
}

pub(super) async fn the_last_use_never_goes_back(engine: Arc<dyn Engine>) {
    let id = id();
    found_with(&*engine, id, row(), None).await;
    engine.touch(vec![(id, START.after(MINUTE))]).await.unwrap();
    let commit = Commit { session: Some(row()), ..commit(id, Expect::Version(1)) };
    assert_eq!(engine.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(read(&*engine, id).await.unwrap().seen_at, START.after(MINUTE));
}

pub(super) async fn an_end_for_want_of_use_needs_that_use_to_be_the_last(engine: Arc<dyn Engine>) {
    let id = id();
    let before = found_with(&*engine, id, row(), None).await;
    engine.touch(vec![(id, START.after(MINUTE))]).await.unwrap();
    let end = |seen| Commit {
        expect_seen: Some(seen),
        session: Some(ended()),
        ..commit(id, Expect::Version(1))
    };
    let now = SessionRow { seen_at: START.after(MINUTE), ..before };
    assert_eq!(engine.commit(end(START)).await.unwrap(), Committed::Stale(Some(now)));
    assert_eq!(engine.commit(end(START.after(MINUTE))).await.unwrap(), Committed::Done);
}

fn ended() -> SessionRow {
    let ended_at = Some(START.after(2 * HOUR));
    SessionRow { seen_at: START, ended_at, ..SessionRow::default() }
}

pub(super) async fn a_token_is_minted_once(engine: Arc<dyn Engine>) {
    let (id, before, first) = minted(&*engine).await;
    let again = Commit {
        session: Some(row()),
        mint: Some(first.clone()),
        ..commit(id, Expect::Version(1))
    };
    assert_eq!(engine.commit(again).await.unwrap(), Committed::TokenExists);
    assert_eq!(read(&*engine, id).await, Some(before));
    // By another session neither.
    let other = crate::rules::kit::id();
    let stolen = TokenRow { session: other, ..first.clone() };
    let again =
        Commit { session: Some(row()), mint: Some(stolen), ..commit(other, Expect::Absent) };
    assert_eq!(engine.commit(again).await.unwrap(), Committed::TokenExists);
    assert_eq!(read(&*engine, other).await, None);
    assert_eq!(find(&*engine, &first).await.unwrap().token, first);
}

pub(super) async fn a_token_is_found_by_digest_and_by_name(engine: Arc<dyn Engine>) {
    let id = id();
    let plain = token(id);
    let rich = TokenRow {
        handlers: vec!["Pay.done".to_owned(), "Pay.failed".to_owned()],
        mode: Some(callgate::base::RestoreMode::Transfer),
        confirm: 2,
        binding: Some(digest()),
        run: b"run\n\xFF".to_vec(),
        answer: vec![0, 255, 10],
        ..token(id)
    };
    let row = found_with(&*engine, id, row(), Some(rich.clone())).await;
    for found in [find(&*engine, &rich).await, find_by_name(&*engine, &rich).await] {
        let found = found.unwrap();
        assert_eq!((found.token, found.fenced), (rich.clone(), true));
        assert_eq!(found.session, Some(row.clone()));
    }
    assert!(find(&*engine, &plain).await.is_none());
    assert!(find_by_name(&*engine, &plain).await.is_none());
}

pub(super) async fn marks_change_a_token(engine: Arc<dyn Engine>) {
    let (id, _, minted) = minted(&*engine).await;
    let run = |run: &[u8], answer: &[u8], forget_at| TokenChange::Run {
        run: run.to_vec(),
        answer: answer.to_vec(),
        forget_at,
    };
    let claim = (claim_id(), START.after(MINUTE));
    let late = START.after(5 * HOUR);
    let steps = [
        (
            TokenChange::Claim { id: claim.0, at: claim.1, forget_at: None },
            TokenRow { claim: Some(claim), ..minted.clone() },
        ),
        (
            run(b"r1", b"a1", late),
            TokenRow {
                claim: Some(claim),
                run: b"r1".to_vec(),
                answer: b"a1".to_vec(),
                forget_at: late,
                ..minted.clone()
            },
        ),
        (
            // What is remembered longer stays so.
            run(b"r2", b"a2", START),
            TokenRow {
                claim: Some(claim),
                run: b"r2".to_vec(),
                answer: b"a2".to_vec(),
                forget_at: late,
                ..minted.clone()
            },
        ),
        (
            TokenChange::Unanswered,
            TokenRow { claim: Some(claim), run: b"r2".to_vec(), forget_at: late, ..minted.clone() },
        ),
    ];
    for (version, (change, expected)) in (1..).zip(steps) {
        let marks = vec![
            Mark { digest: minted.digest, change },
            // A token that is gone stays gone.
            Mark { digest: digest(), change: TokenChange::Unanswered },
        ];
        let commit = Commit { marks, ..commit(id, Expect::Version(version)) };
        assert_eq!(engine.commit(commit).await.unwrap(), Committed::Done);
        let found = find(&*engine, &minted).await.unwrap();
        assert_eq!((found.token, found.fenced), (expected, true));
        assert!(find_by_name(&*engine, &minted).await.is_none());
    }
}

pub(super) async fn a_void_fence_holds_no_more(engine: Arc<dyn Engine>) {
    let (id, _, minted) = minted(&*engine).await;
    let fenced = |version, digest| Commit {
        expect_fence: Some(digest),
        ..commit(id, Expect::Version(version))
    };
    assert_eq!(engine.commit(fenced(1, minted.digest)).await.unwrap(), Committed::Done);
    let marks = vec![Mark { digest: minted.digest, change: TokenChange::Void }];
    let void = Commit { marks, ..commit(id, Expect::Version(2)) };
    assert_eq!(engine.commit(void).await.unwrap(), Committed::Done);
    assert!(!find(&*engine, &minted).await.unwrap().fenced);
    for digest in [minted.digest, digest()] {
        assert_eq!(engine.commit(fenced(3, digest)).await.unwrap(), Committed::Unfenced);
    }
    assert_eq!(read(&*engine, id).await.unwrap().version, 3);
    let claimed = engine.claim(order(&minted)).await.unwrap();
    assert!(!claimed.granted && !claimed.found.unwrap().fenced);
}

pub(super) async fn a_token_that_is_taken_back_is_gone(engine: Arc<dyn Engine>) {
    let (id, before, minted) = minted(&*engine).await;
    let drops = vec![minted.digest, digest()];
    let session = Some(SessionRow { unspent: Vec::new(), ..before });
    let commit = Commit { drops, session, ..commit(id, Expect::Version(1)) };
    assert_eq!(engine.commit(commit).await.unwrap(), Committed::Done);
    assert!(find(&*engine, &minted).await.is_none());
    assert!(find_by_name(&*engine, &minted).await.is_none());
    assert!(engine.tokens(None, 10).await.unwrap().is_empty());
    assert!(engine.claim(order(&minted)).await.unwrap().found.is_none());
}

pub(super) async fn an_ended_session_has_no_content(engine: Arc<dyn Engine>) {
    let (id, _, minted) = minted(&*engine).await;
    let end = Commit {
        session: Some(ended()),
        due_at: START.after(2 * HOUR).after(TOMBSTONE),
        ..commit(id, Expect::Version(1))
    };
    assert_eq!(engine.commit(end).await.unwrap(), Committed::Done);
    let expected = SessionRow { version: 2, ..ended() };
    assert_eq!(read(&*engine, id).await, Some(expected.clone()));
    let found = find(&*engine, &minted).await.unwrap();
    assert_eq!(found.session, Some(expected.clone()));
    let claimed = engine.claim(order(&minted)).await.unwrap();
    assert!(!claimed.granted && claimed.found.unwrap().session == Some(expected.clone()));
    engine.touch(vec![(id, START.after(3 * HOUR))]).await.unwrap();
    assert_eq!(read(&*engine, id).await, Some(expected));
    assert!(engine.sessions(None, 10).await.unwrap().is_empty());
    assert!(engine.tokens(None, 10).await.unwrap().is_empty());
}

pub(super) async fn a_claim_may_be_marked_on_a_forgotten_session(engine: Arc<dyn Engine>) {
    let id = id();
    let late = TokenRow { forget_at: START.after(90 * 24 * HOUR), ..token(id) };
    found_with(&*engine, id, row(), Some(late.clone())).await;
    let far = START.after(30 * 24 * HOUR);
    assert_eq!(engine.sweep(far, 10).await.unwrap(), 1);
    assert_eq!(engine.sweep(far.after(TOMBSTONE), 10).await.unwrap(), 1);
    assert_eq!(read(&*engine, id).await, None);
    let found = find(&*engine, &late).await.unwrap();
    assert_eq!((found.token, found.session), (late.clone(), None));
    let claimed = engine.claim(order(&late)).await.unwrap();
    assert!(!claimed.granted && claimed.found.unwrap().session.is_none());
    let claim = (claim_id(), far);
    let marks = vec![Mark {
        digest: late.digest,
        change: TokenChange::Claim { id: claim.0, at: claim.1, forget_at: None },
    }];
    let commit = Commit { marks, ..commit(id, Expect::Absent) };
    assert!(matches!(engine.commit(commit).await.unwrap(), Committed::Done));
    assert_eq!(find(&*engine, &late).await.unwrap().token.claim, Some(claim));
    assert_eq!(read(&*engine, id).await, None);
}

pub(super) async fn of_many_commits_under_one_version_one_is_done(engine: Arc<dyn Engine>) {
    let id = id();
    found_with(&*engine, id, row(), None).await;
    let mut writers = JoinSet::new();
    for writer in 0..32_u8 {
        let engine = Arc::clone(&engine);
        let minted = token(id);
        let session = SessionRow { doc: vec![writer], unspent: vec![slip(&minted)], ..row() };
        let commit =
            Commit { session: Some(session), mint: Some(minted), ..commit(id, Expect::Version(1)) };
        writers.spawn(async move { engine.commit(commit).await.unwrap() });
    }
    let written = writers.join_all().await;
    assert_eq!(written.iter().filter(|each| **each == Committed::Done).count(), 1);
    let stale = |each: &&Committed| matches!(each, Committed::Stale(Some(row)) if row.version == 2);
    assert_eq!(written.iter().filter(stale).count(), 31);
    let tokens = engine.tokens(None, 64).await.unwrap();
    assert_eq!(tokens.len(), 1);
    let held = read(&*engine, id).await.unwrap();
    assert_eq!(held.unspent, vec![slip(&tokens[0].token)]);
    assert_eq!(held.idle_ms, u64::try_from(Duration::from_hours(1).as_millis()).unwrap());
}
