//! Rules about pages: everything once, in order.

use std::sync::Arc;

use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::SessionRow;

use crate::rules::kit::START;
use crate::rules::kit::commit;
use crate::rules::kit::minted;
use crate::rules::kit::order;
use crate::rules::kit::read;

pub(super) async fn sessions_come_in_the_order_of_their_ids(engine: Arc<dyn Engine>) {
    let mut ids = Vec::new();
    for n in 0..60 {
        let (id, _, _) = minted(&*engine).await;
        if n % 5 == 0 {
            let row = SessionRow { seen_at: START, ended_at: Some(START), ..Default::default() };
            let due_at = START.after(TOMBSTONE);
            let end = Commit { session: Some(row), due_at, ..commit(id, Expect::Version(1)) };
            assert_eq!(engine.commit(end).await.unwrap(), Committed::Done);
        } else {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    for at_most in [1, 7, 48, 500] {
        let mut listed = Vec::new();
        loop {
            let page = engine.sessions(listed.last().copied(), at_most).await.unwrap();
            // A page is only short where there is no more.
            assert!(page.len() == at_most || listed.len() + page.len() == ids.len());
            if page.is_empty() {
                break;
            }
            for (id, row) in page {
                assert_eq!(Some(row), read(&*engine, id).await);
                listed.push(id);
            }
        }
        assert_eq!(listed, ids, "{at_most} at a time");
    }
}

pub(super) async fn tokens_come_in_the_order_of_their_names(engine: Arc<dyn Engine>) {
    let mut names = Vec::new();
    for n in 0..60 {
        let (_, _, token) = minted(&*engine).await;
        if n % 5 == 0 {
            assert!(engine.claim(order(&token)).await.unwrap().granted);
        } else {
            names.push(token.id);
        }
    }
    names.sort_unstable();
    for at_most in [1, 7, 48, 500] {
        let mut listed = Vec::new();
        loop {
            let page = engine.tokens(listed.last().copied(), at_most).await.unwrap();
            assert!(page.len() == at_most || listed.len() + page.len() == names.len());
            if page.is_empty() {
                break;
            }
            for found in page {
                assert!(found.fenced && found.session.is_some());
                listed.push(found.token.id);
            }
        }
        assert_eq!(listed, names, "{at_most} at a time");
    }
}
