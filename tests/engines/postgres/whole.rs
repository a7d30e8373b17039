//! The store on the engine keeps every promise of the port, and goes on through bad days.

use std::sync::Arc;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::contract;
use callgate::store::live::Config;
use callgate::store::shared::SharedStore;

use crate::patience;
use crate::services::pgbouncer::Pooler;
use crate::services::postgres::Server;
use crate::services::postgres::is_installed;
use crate::size;

use super::kit;

async fn keeps_every_promise(url: &str) {
    let fresh = || async { SharedStore::new(kit::open(url).await) as Arc<dyn Store> };
    patience::keeps_every_promise(kit::NOW, fresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_every_promise() {
    let Some(url) = kit::url() else { return };
    keeps_every_promise(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_every_promise_without_its_fence() {
    let Some(url) = kit::url() else { return };
    keeps_every_promise(&format!("{url}?fence=off&pool=2")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_every_promise_behind_a_pooler() {
    if !is_installed() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else { return };
    keeps_every_promise(&pooler.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_tokens_has_one_winner() {
    let Some(url) = kit::url() else { return };
    let (tokens, claimers) = size((64, 64), (2_000, 64));
    let fresh = || async { SharedStore::new(kit::open(&url).await) as Arc<dyn Store> };
    patience::one_winner_each(kit::NOW, (tokens, claimers), fresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_works_again_soon_after_its_database_died() {
    if !is_installed() {
        return;
    }
    let mut server = Server::start();
    let store = SharedStore::new(kit::open(&server.url()).await);
    for _ in 0..3 {
        server.kill();
        let id = kit::session_id(1);
        assert!(store.look(kit::NOW, id, Right::Operator).await.is_err());
        server.run();
        let watch = Stopwatch::start();
        while store.look(kit::NOW, id, Right::Operator).await.is_err() {
            assert!(watch.elapsed() < Duration::from_secs(30), "it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        contract::race(kit::NOW, store.clone(), 16, 16).await.unwrap();
    }
}

#[tokio::test]
async fn guests_have_their_share_of_the_store() {
    let Some(url) = kit::url() else { return };
    let config = Config { sessions_max: 60, ..Config::default() };
    let store = SharedStore::with(kit::open(&url).await, config);
    contract::guests_have_their_share(kit::NOW, store, (config, 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_decides_as_the_node_does() {
    let Some(engine) = kit::engine().await else { return };
    crate::rules::table::decides_as_the_node_does(engine).await;
    crate::rules::table::undoes_a_wrong_grant(kit::engine().await.unwrap()).await;
}
