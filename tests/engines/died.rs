//! A node that dies while it runs the handler of a callback: the other nodes say so within seconds,
//! or take over where the row allows it.

use std::sync::Arc;
use std::time::Duration;

use callgate::Gate;
use callgate::base::clock::Stopwatch;
use callgate::gate::Answer;
use callgate::store::Store;
use callgate::store::shared::SharedStore;
use tokio::runtime::Runtime;

use crate::postgres::kit;
use crate::redis::opened;
use crate::services::postgres;
use crate::services::redis;
use crate::support::probe;
use crate::support::probe::Probe;
use crate::support::settings;
use crate::support::visitor::with_token;

/// From the death of a node to the answer that says so.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Longer than the lease of a run.
const LONG: Duration = Duration::from_secs(12);

struct Node {
    gate: Gate,
    probe: Arc<Probe>,
}

impl Node {
    async fn start(store: Arc<dyn Store>) -> Self {
        let probe = Arc::new(Probe::new());
        let singleton = probe::singleton(Arc::clone(&probe));
        let gate = Gate::builder(settings()).table(probe::TABLE).singleton(singleton).store(store);
        Self { gate: gate.open().await.unwrap(), probe }
    }

    async fn calls(&self, path: &str, token: &str) -> Answer {
        self.gate.client().get(&with_token(path, token)).send().await
    }
}

/// Runs callbacks on a node in a runtime of its own, which ends during them, and looks at them from
/// another node. `connected` connects a node to the database.
async fn a_dead_node_is_noticed<F>(connected: impl Fn() -> F + Clone + Send + 'static)
where
    F: Future<Output = Arc<dyn Store>> + Send,
{
    let there = Node::start(connected().await).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(there.gate.client().get("/mint").send().await.text());
    }
    let [told, taken_over, answered] = &tokens[..] else { unreachable!() };

    let life = Runtime::new().unwrap();
    let begun = tokens.clone();
    let here = life.spawn(async move {
        let here = Arc::new(Node::start(connected().await).await);
        for (path, token) in ["/pay", "/pay-again", "/pay"].into_iter().zip(begun) {
            let (node, path) = (Arc::clone(&here), format!("{path}?wait=1"));
            tokio::spawn(async move { node.calls(&path, &token).await });
            here.probe.arrival().await;
        }
        here
    });
    let here = here.await.unwrap();
    // A handler that takes longer than the lease is not taken for dead.
    let long = async {
        tokio::time::sleep(LONG).await;
        here.probe.door.add_permits(1);
    };
    let ((), waited) = tokio::join!(long, there.calls("/pay?wait=1", told));
    assert_eq!((waited.status, here.probe.runs()), (201, 3));

    life.shutdown_background();
    let died = Stopwatch::start();
    there.probe.door.add_permits(1);
    let (interrupted, again) = tokio::join!(
        there.calls("/pay?wait=1", answered),
        there.calls("/pay-again?wait=1", taken_over)
    );
    assert!(died.elapsed() < TOLD_WITHIN, "{:?}", died.elapsed());
    assert_eq!(
        (interrupted.status, interrupted.json()["code"].as_str()),
        (409, Some("interrupted"))
    );
    assert_eq!((again.status, there.probe.runs()), (201, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_is_noticed_on_redis() {
    if !redis::is_installed() {
        return;
    }
    let url = redis::shared().await;
    a_dead_node_is_noticed(move || {
        let url = url.clone();
        async move { SharedStore::new(opened(&url, "died").await) as Arc<dyn Store> }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_is_noticed_on_postgres() {
    let Some(url) = postgres::is_installed().then(kit::url).flatten() else { return };
    let app = kit::app();
    a_dead_node_is_noticed(move || {
        let (url, app) = (url.clone(), app.clone());
        async move { SharedStore::new(kit::open_as(&url, &app).await) as Arc<dyn Store> }
    })
    .await;
}
