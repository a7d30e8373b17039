//! What a PostgreSQL leaves alone whatever a node says: tokens that were redeemed. It is they that
//! tell a second bearer that he is the second.

use callgate::base::SessionId;
use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::Share;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::TokenRow;

use super::kit;
use super::kit::HOUR_MS;
use super::kit::NOW;
use super::kit::after_ms;
use super::kit::claim_id;
use super::kit::commit;
use super::kit::digest;
use super::kit::row;
use super::kit::token;

const HOME: SessionId = SessionId::from_bytes([7; 16]);

/// A redeemed token that is remembered for a year.
fn redeemed() -> TokenRow {
    let year = after_ms(366 * 24 * HOUR_MS);
    TokenRow { claim: Some((claim_id(3), NOW)), forget_at: year, ..token(1, HOME) }
}

/// A session that counts a redeemed token among those that are unspent.
async fn mistaken(engine: &dyn Engine) -> TokenRow {
    let redeemed = redeemed();
    let unspent = vec![kit::unspent(&redeemed)];
    let founding = Commit {
        session: Some(SessionRow { unspent, ..row() }),
        mint: Some(redeemed.clone()),
        guest: true,
        ..commit(HOME, Expect::Absent)
    };
    assert_eq!(engine.commit(founding).await.unwrap(), Committed::Done);
    redeemed
}

async fn is_as_it_was(engine: &dyn Engine, redeemed: TokenRow) {
    let found = engine.find(TokenKey::Digest(digest(1))).await.unwrap();
    assert_eq!(found.map(|found| found.token), Some(redeemed));
}

#[tokio::test]
async fn a_redeemed_token_is_not_taken_back() {
    let Some(engine) = kit::engine().await else { return };
    let redeemed = mistaken(&*engine).await;
    let drops = Commit { drops: vec![digest(1)], ..commit(HOME, Expect::Version(1)) };
    assert_eq!(engine.commit(drops).await.unwrap(), Committed::Done);
    is_as_it_was(&*engine, redeemed).await;
}

#[tokio::test]
async fn the_end_of_its_session_shortens_no_memory_of_a_redeemed_token() {
    let Some(engine) = kit::engine().await else { return };
    let redeemed = mistaken(&*engine).await;
    let ended = SessionRow { ended_at: Some(NOW), ..SessionRow::default() };
    let due_at = NOW.after(TOMBSTONE);
    let end = Commit { session: Some(ended), due_at, ..commit(HOME, Expect::Version(1)) };
    assert_eq!(engine.commit(end).await.unwrap(), Committed::Done);
    is_as_it_was(&*engine, redeemed).await;
}

#[tokio::test]
async fn a_guest_that_makes_room_leaves_its_redeemed_tokens() {
    let Some(engine) = kit::engine().await else { return };
    let redeemed = mistaken(&*engine).await;
    let share = Share { guests: 0, bytes: 0, at_most: 10, spared: None };
    assert_eq!(engine.trim(share).await.unwrap().dropped, 1);
    is_as_it_was(&*engine, redeemed).await;
}
