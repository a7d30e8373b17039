//! Replies of a database that get lost on their way: whoever waited for one asks again under the
//! same claim, and nobody else notices anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callgate::store::Store;
use callgate::store::shared::SharedStore;
use tokio::task::JoinSet;

use crate::postgres::kit;
use crate::redis::opened;
use crate::services::postgres;
use crate::services::proxy::Proxy;
use crate::services::proxy::Weather;
use crate::services::redis;
use crate::support::House;
use crate::support::outcome;
use crate::support::settings;

/// Redemptions at once: as many as there can be connections to PostgreSQL.
const AT_ONCE: usize = 16;

/// A bad moment of the network.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// One piece of weather, which passes by itself.
    Once(Weather),
    /// A weather that lasts this long.
    For(Weather, Duration),
    /// Every connection is cut once.
    Cut,
}

const SHORT: Duration = Duration::from_millis(150);

/// Every way to lose a reply, or several.
const LOSSES: [Loss; 5] = [
    Loss::Once(Weather::OneReplyLost),
    Loss::Once(Weather::OneReplyHeld),
    Loss::For(Weather::ReplyLost, SHORT),
    Loss::For(Weather::Down, SHORT),
    Loss::Cut,
];

impl Loss {
    async fn happens(self, proxy: &Proxy) {
        match self {
            Self::Once(weather) => proxy.set(weather),
            Self::For(weather, span) => {
                proxy.set(weather);
                tokio::time::sleep(span).await;
                proxy.set(Weather::Fair);
            }
            Self::Cut => proxy.cut(),
        }
    }
}

async fn on_postgres() -> Option<(Proxy, Arc<dyn Store>)> {
    let server = postgres::is_installed().then(kit::server)??;
    let port = server.lock().unwrap().port();
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let url = format!("postgres://callgate:secret@{}/callgate", proxy.address);
    let store = SharedStore::new(kit::open(&url).await);
    Some((proxy, store))
}

async fn on_redis() -> Option<(Proxy, Arc<dyn Store>)> {
    if !redis::is_installed() {
        return None;
    }
    let url = redis::shared().await;
    let proxy = Proxy::to(url.strip_prefix("redis://").unwrap().parse().unwrap()).await;
    let store = SharedStore::new(opened(&format!("redis://{}", proxy.address), "lost").await);
    Some((proxy, store))
}

/// Redeems many tokens at once; what came of each.
async fn redeem_all(house: &House, tokens: &[String]) -> Vec<(u16, String)> {
    let mut calls = JoinSet::new();
    for token in tokens {
        let (visitor, token) = (house.visitor(), token.clone());
        calls.spawn(async move { visitor.call_back("/whoami", &token).await });
    }
    let answers = calls.join_all().await;
    answers.iter().map(|answer| (answer.status, outcome(answer).to_owned())).collect()
}

async fn one_lost_reply_costs_nobody_a_callback((proxy, store): (Proxy, Arc<dyn Store>)) {
    let house = House::on(store, settings()).await;
    for loss in LOSSES {
        let mut tokens = Vec::new();
        for _ in 0..2 * AT_ONCE {
            tokens.push(house.visitor().mint("").await);
        }
        let (first, second) = tokens.split_at(AT_ONCE);
        // From now on there are as many connections as there can be.
        assert_eq!(redeem_all(&house, first).await, told(first, "restored"));
        let (answers, ()) = tokio::join!(redeem_all(&house, second), loss.happens(&proxy));
        assert_eq!(answers, told(second, "restored"), "{loss:?}");
        proxy.set(Weather::Fair);
        for spent in [first, second] {
            assert_eq!(redeem_all(&house, spent).await, told(spent, "used"), "{loss:?}");
        }
    }
}

/// What is said of every token.
fn told(tokens: &[String], outcome: &str) -> Vec<(u16, String)> {
    vec![(200, outcome.to_owned()); tokens.len()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_reply_of_postgres_costs_nobody_a_callback() {
    let Some(place) = on_postgres().await else { return };
    one_lost_reply_costs_nobody_a_callback(place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_reply_of_redis_costs_nobody_a_callback() {
    let Some(place) = on_redis().await else { return };
    one_lost_reply_costs_nobody_a_callback(place).await;
}
