//! Clocks that are set wrong, forward and back, while a store runs and while it does not
//! (docs/SECURITY.md C-21): what was over stays over, and nothing lives longer than it was given;
//! on every store.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::Timestamp;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::Token;

use super::ground;
use crate::stores::kit::Ground;
use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::minted;
use crate::stores::kit::session;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How the clock is set wrong.
#[derive(Debug, Clone, Copy)]
enum Set {
    Ahead(Duration),
    Back(Duration),
}

impl Set {
    fn shift(self, moment: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(span) => moment.after(span),
            Self::Back(span) => {
                let back = u64::try_from(span.as_millis()).unwrap();
                Timestamp::from_millis(moment.millis() - back)
            }
        }
    }
}

/// A store with a bit of everything at noon.
struct Scene {
    ground: Ground,
    store: Arc<dyn Store>,
    living: Record,
    ended: Record,
    /// Of ten minutes.
    unspent: Token,
    /// Its ten minutes were over, and somebody was told.
    expired: Token,
}

/// When the scene is set.
const NOON: Timestamp = Timestamp::from_millis(START.millis() + 650_000);

impl Scene {
    async fn set() -> Self {
        let mut ground = ground();
        let store = ground.open().await;
        let (living, ended) = (session(&*store).await, session(&*store).await);
        let expired = minted(&*store, living.id).await;
        assert!(matches!(redeem(&*store, NOON, &expired).await, Redeemed::Expired));
        store.end(NOON, ended.id, Right::Operator).await.unwrap();
        let unspent = Token { minted_at: NOON, expires_at: NOON.after_secs(600), ..token(&living) };
        let patch = callgate::session::Patch::default();
        store.mint(NOON, Right::Operator, patch, unspent.clone()).await.unwrap();
        assert!(opens(&*store, NOON, &living).await);
        Self { ground, store, living, ended, unspent, expired }
    }

    /// The process dies, and another one opens what it has left.
    async fn restart(&mut self) {
        self.store = self.ground.open().await;
    }

    /// What is over at every moment from now on, whatever the clock says.
    async fn check_the_dead(&self, now: Timestamp, set: Set) {
        let expired = redeem(&*self.store, now, &self.expired).await;
        assert!(matches!(expired, Redeemed::Expired | Redeemed::Unknown), "{set:?}: {expired:?}");
        assert!(!opens(&*self.store, now, &self.ended).await, "{set:?}: a session came back");
    }
}

fn token(record: &Record) -> Token {
    crate::stores::kit::token(record.id)
}

async fn redeem(store: &dyn Store, now: Timestamp, token: &Token) -> Redeemed {
    store.redeem(now, claim(token)).await.unwrap()
}

async fn opens(store: &dyn Store, now: Timestamp, record: &Record) -> bool {
    let resumed = store.resume(now, record.id, record.devices[0].digest).await.unwrap();
    matches!(resumed, Resumed::Open(_))
}

/// All eight: an hour and a day, ahead and back, across a restart and while it runs.
#[tokio::test]
async fn whatever_the_clock_is_set_to_what_is_over_stays_over() {
    for set in [Set::Ahead(HOUR), Set::Back(HOUR), Set::Ahead(DAY), Set::Back(DAY)] {
        for restarts in [false, true] {
            let mut scene = Scene::set().await;
            if restarts {
                scene.restart().await;
            }
            let wrong = set.shift(NOON);
            scene.check_the_dead(wrong, set).await;
            let ahead = matches!(set, Set::Ahead(_));
            if ahead {
                // The ten minutes and the idle hour are over by this clock; a restart gives back
                // the use that may not have been written down.
                let late = wrong.after(Duration::from_mins(10));
                assert!(!opens(&*scene.store, late, &scene.living).await, "{set:?}");
                let gone = redeem(&*scene.store, late, &scene.unspent).await;
                assert!(!matches!(gone, Redeemed::Granted(_)), "{set:?}: {gone:?}");
            } else {
                assert!(opens(&*scene.store, wrong, &scene.living).await, "{set:?}: it was in use");
            }
            // The clock is set right, with a restart or without.
            if restarts {
                scene.restart().await;
            }
            scene.check_the_dead(NOON, set).await;
            assert_eq!(opens(&*scene.store, NOON, &scene.living).await, !ahead, "{set:?}");
            // By the right clock its time is over, however long it had by the wrong one.
            let over = redeem(&*scene.store, scene.unspent.expires_at, &scene.unspent).await;
            assert!(!matches!(over, Redeemed::Granted(_)), "{set:?}: {over:?}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_neither_spends_nor_prolongs_a_token() {
    for span in [HOUR, DAY] {
        let mut scene = Scene::set().await;
        scene.restart().await;
        let wrong = Set::Back(span).shift(NOON);
        // Time stands still until the clock has caught up, and then goes on.
        let just_before = Timestamp::from_millis(scene.unspent.expires_at.millis() - 1);
        for now in [wrong, NOON, just_before] {
            assert!(opens(&*scene.store, now, &scene.living).await);
        }
        let redeemed = redeem(&*scene.store, wrong, &scene.unspent).await;
        assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
    }
}
