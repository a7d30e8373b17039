//! The index of token names in a Redis: it holds the tokens that nobody has claimed, of sessions that
//! have not ended, and no other.
//!
//! What is left in it by mistake is found by no operation, because all of them look at the token as well;
//! so these tests look into the server.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::RestoreMode;
use callgate::base::Timestamp;
use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::live::Config;
use callgate::store::port::Claim;
use callgate::store::port::Minted;
use callgate::store::port::Redeemed;
use callgate::store::shared::SharedStore;
use callgate::token::ClaimMark;
use callgate::token::Token;
use redis::Value;

use crate::kit::START;
use crate::kit::claim;
use crate::kit::device;
use crate::kit::minted;
use crate::kit::session;
use crate::kit::token;
use crate::redis::opened;
use crate::services::redis::Redis;
use crate::services::redis::is_installed;

struct Place {
    server: Redis,
    store: Arc<SharedStore>,
}

impl Place {
    async fn start(config: Config) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let server = Redis::start("").await;
        let store = SharedStore::with(opened(&server.url(), "names").await, config);
        Some(Self { server, store })
    }

    async fn fresh() -> Option<Self> {
        Self::start(Config::default()).await
    }

    /// Entries of the index, of all shards.
    fn names(&self) -> usize {
        let Value::Array(keys) = self.server.say(&["KEYS", "cg:*}:names"]) else {
            panic!("no keys")
        };
        let count = |key: Value| match key {
            Value::BulkString(key) => {
                let key = String::from_utf8(key).unwrap();
                self.server.told(&["ZCARD", &key]).parse::<usize>().unwrap()
            }
            other => panic!("{other:?}"),
        };
        keys.into_iter().map(count).sum()
    }

    async fn keep(&self, token: Token) -> Token {
        let store = &self.store;
        let kept = store.mint(START, Right::Operator, Patch::default(), token.clone()).await;
        assert!(matches!(kept, Ok(Minted::Done(_))), "{kept:?}");
        token
    }

    async fn redeem(&self, claim: Claim) {
        let redeemed = self.store.redeem(START, claim).await.unwrap();
        assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    }
}

fn later(secs: u64) -> Timestamp {
    START.after_secs(secs)
}

#[tokio::test]
async fn a_redeemed_token_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    let (first, _second) = (minted(&*place.store, id).await, minted(&*place.store, id).await);
    assert_eq!(place.names(), 2);
    place.redeem(claim(&first)).await;
    assert_eq!(place.names(), 1);
}

/// A transfer is decided in the node, and written with a commit.
#[tokio::test]
async fn a_token_that_a_commit_marks_as_redeemed_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let token = minted(&*place.store, session(&*place.store).await.id).await;
    place.redeem(Claim { row_mode: RestoreMode::Transfer, ..claim(&token) }).await;
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn a_token_that_a_sign_in_ended_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    minted(&*place.store, id).await;
    let patch = Patch { rotate: Some(device()), ..Patch::default() };
    place.store.patch(START, id, Right::Operator, patch).await.unwrap();
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn a_token_that_is_taken_back_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let token = minted(&*place.store, session(&*place.store).await.id).await;
    assert!(place.store.revoke(START, token.id).await.unwrap());
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn a_token_that_is_minted_as_redeemed_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    let mark = ClaimMark { id: claim(&token(id)).id, at: START };
    place.keep(Token { claim: Some(mark), ..token(id) }).await;
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn the_tokens_of_a_session_that_is_ended_have_no_names() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    minted(&*place.store, id).await;
    minted(&*place.store, id).await;
    place.store.end(START, id, Right::Operator).await.unwrap();
    assert_eq!(place.names(), 0);
}

/// They expire before their session does, and are remembered for longer.
#[tokio::test]
async fn the_tokens_of_a_session_that_a_sweep_ends_have_no_names() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    place.keep(Token { expires_at: later(59 * 60), ..token(id) }).await;
    assert_eq!(place.store.sweep(later(61 * 60), 100).await.unwrap(), 1);
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn a_token_that_a_sweep_forgets_has_no_name() {
    let Some(place) = Place::fresh().await else { return };
    let id = session(&*place.store).await.id;
    place.keep(Token { expires_at: later(60), ..token(id) }).await;
    assert_eq!(place.store.sweep(later(30 * 60), 100).await.unwrap(), 1);
    assert_eq!(place.names(), 0);
}

#[tokio::test]
async fn the_tokens_of_guests_that_made_room_have_no_names() {
    let config = Config { sessions_max: 8, ..Config::default() };
    let Some(place) = Place::start(config).await else { return };
    for _ in 0..12 {
        let id = session(&*place.store).await.id;
        minted(&*place.store, id).await;
    }
    place.store.sweep(START.after(Duration::from_secs(1)), 100).await.unwrap();
    let left = place.store.sessions(START, None, 100).await.unwrap().len();
    assert!(left < 12, "nobody made room");
    assert_eq!(place.names(), left);
}
