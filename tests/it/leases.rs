//! Long runs of callbacks and nodes that die during one, on two nodes whose clocks disagree.
//!
//! The time of these tests is tokio's, which stands still but for what somebody waits for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::Gate;
use callgate::base::Clock;
use callgate::base::Timestamp;
use callgate::base::limits::RUN_LEASE;
use callgate::base::limits::RUN_RENEWAL;
use callgate::gate::Answer;
use callgate::store::Store;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::memory::MemoryStore;
use callgate::store::port::OperationKind;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::stores::kit::START;
use crate::support::log::Log;
use crate::support::probe;
use crate::support::probe::Probe;
use crate::support::settings;
use crate::support::visitor::with_token;

#[expect(clippy::disallowed_methods, reason = "the time of these tests, which a test moves")]
fn moment() -> Instant {
    Instant::now()
}

/// A clock that is wrong by the same span all the time.
#[derive(Debug)]
struct Skewed {
    start: Timestamp,
    began: Instant,
    /// How far it was set ahead since, in seconds.
    set_ahead: AtomicU64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.start.after(self.began.elapsed()).after_secs(self.set_ahead.load(Ordering::SeqCst))
    }
}

struct Node {
    gate: Gate,
    store: Arc<Faulty>,
    clock: Arc<Skewed>,
    probe: Arc<Probe>,
}

impl Node {
    /// A node whose clock is so far ahead of the slowest one.
    async fn start(store: Arc<dyn Store>, ahead: Duration) -> Self {
        let (store, probe) = (Arc::new(Faulty::new(store)), Arc::new(Probe::new()));
        let (start, set_ahead) = (START.after(ahead), AtomicU64::new(0));
        let clock = Arc::new(Skewed { start, began: moment(), set_ahead });
        let gate = Gate::builder(settings())
            .table(probe::TABLE)
            .singleton(probe::singleton(Arc::clone(&probe)))
            .store(store.clone())
            .clock(clock.clone())
            .open()
            .await
            .unwrap();
        Self { gate, store, clock, probe }
    }

    async fn mint(&self) -> String {
        self.gate.client().get("/mint").send().await.text()
    }

    /// A callback that goes on while the test does something else.
    fn calls(&self, path: &str, token: &str) -> JoinHandle<Answer> {
        tokio::spawn(self.gate.client().get(&with_token(path, token)).send())
    }

    /// A callback that has come to its handler.
    async fn runs(&self, path: &str, token: &str) -> JoinHandle<Answer> {
        let running = self.calls(path, token);
        self.probe.arrival().await;
        running
    }

    /// The store hears nothing of its runs any more, as if the node had died.
    fn dies(&self) {
        self.store.lose(OperationKind::Conclude, Lose::Request, When::Every(1));
    }
}

/// Two nodes on one database; the clock of one of them is minutes ahead.
async fn two_nodes(ahead: [u64; 2]) -> [Node; 2] {
    let engine = Arc::new(MapEngine::default());
    let [here, there] = ahead.map(Duration::from_secs);
    [
        Node::start(SharedStore::new(engine.clone()), here).await,
        Node::start(SharedStore::new(engine), there).await,
    ]
}

const SKEWS: [[u64; 2]; 3] = [[0, 0], [100, 0], [0, 100]];

#[track_caller]
fn is_told(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some(code)));
}

/// Longer than the lease, and shorter than the 30 s that a handler may run.
const LONG: Duration = Duration::from_secs(25);

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_for_long_keeps_its_repeats_waiting_and_answers_them() {
    for skew in SKEWS {
        for path in ["/pay?wait=1", "/pay-again?wait=1"] {
            let [here, there] = two_nodes(skew).await;
            let token = here.mint().await;
            let first = here.runs(path, &token).await;
            let waiting = there.calls(path, &token);
            tokio::time::sleep(LONG).await;
            assert!(!waiting.is_finished(), "{skew:?}: it did not wait");
            here.probe.door.add_permits(1);
            let (first, again) = (first.await.unwrap(), waiting.await.unwrap());
            assert_eq!((first.status, again.status), (201, 201), "{skew:?}");
            assert_eq!(first.body, again.body);
            assert_eq!((here.probe.runs(), there.probe.runs()), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ends_no_run() {
    let [here, there] = two_nodes([0, 0]).await;
    let token = here.mint().await;
    let first = here.runs("/pay-again?wait=1", &token).await;
    let waiting = there.calls("/pay-again?wait=1", &token);
    tokio::time::sleep(LONG / 2).await;
    // Some of these steps come between two looks at the same lease.
    for step in 1..=9 {
        there.clock.set_ahead.store(12 * step, Ordering::SeqCst);
        tokio::time::sleep(LONG / 20).await;
    }
    assert!(!waiting.is_finished());
    here.probe.door.add_permits(1);
    assert_eq!(first.await.unwrap().body, waiting.await.unwrap().body);
    assert_eq!((here.probe.runs(), there.probe.runs()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn lost_renewals_end_no_run() {
    for lose in [Lose::Request, Lose::Reply] {
        let [here, there] = two_nodes([0, 0]).await;
        let token = here.mint().await;
        let first = here.runs("/pay-again?wait=1", &token).await;
        let waiting = there.calls("/pay-again?wait=1", &token);
        tokio::time::sleep(RUN_RENEWAL / 2).await;
        // Two of them, and each time the next one gets through.
        for _ in 0..3 {
            here.store.lose(OperationKind::Conclude, lose, When::Next(2));
            tokio::time::sleep(RUN_RENEWAL * 3).await;
        }
        assert!(!waiting.is_finished());
        assert_eq!(here.store.losses(), 6);
        here.probe.door.add_permits(1);
        assert_eq!(first.await.unwrap().body, waiting.await.unwrap().body);
        assert_eq!((here.probe.runs(), there.probe.runs()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn once_its_node_has_died_a_repeat_is_told_so_within_seconds() {
    for skew in SKEWS {
        let [here, there] = two_nodes(skew).await;
        let token = here.mint().await;
        let _running = here.runs("/pay?wait=1", &token).await;
        tokio::time::sleep(LONG / 2).await;
        here.dies();
        let died = moment();
        is_told(&there.calls("/pay?wait=1", &token).await.unwrap(), "interrupted");
        assert!(died.elapsed() < RUN_LEASE + Duration::from_secs(2), "{:?}", died.elapsed());
        assert!(died.elapsed() > RUN_LEASE.saturating_sub(RUN_RENEWAL), "{:?}", died.elapsed());
        // Whoever comes later need not wait.
        let later = moment();
        is_told(&there.calls("/pay?wait=1", &token).await.unwrap(), "interrupted");
        assert!(later.elapsed() < Duration::from_secs(1));
        assert_eq!(there.probe.runs(), 0);
    }
}

/// A repeat that may not wait that long is told to come back, and then what has happened.
#[tokio::test(start_paused = true)]
async fn hasty_repeats_hear_of_a_dead_node_within_seconds() {
    let [here, there] = two_nodes([0, 0]).await;
    let token = here.mint().await;
    here.dies();
    // Its handler is over soon, and nobody hears of it.
    assert_eq!(here.calls("/pay-hasty", &token).await.unwrap().status, 503);
    let died = moment();
    loop {
        let told = there.calls("/pay-hasty", &token).await.unwrap();
        if told.json()["code"] == "interrupted" {
            break;
        }
        is_told(&told, "repeat_running");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(died.elapsed() < RUN_LEASE + Duration::from_secs(2), "{:?}", died.elapsed());
    }
}

/// A node that only seemed to be dead: another one has taken over, and what the first one answers
/// is neither kept nor sent.
#[tokio::test(start_paused = true)]
async fn who_has_lost_a_run_to_another_node_answers_nobody() {
    let (log, _capture) = Log::capture();
    let [here, there] = two_nodes([0, 0]).await;
    let token = here.mint().await;
    let first = here.runs("/pay-again?wait=1", &token).await;
    here.dies();
    there.probe.door.add_permits(1);
    let taken_over = there.calls("/pay-again?wait=1", &token).await.unwrap();
    assert_eq!((taken_over.status, there.probe.runs()), (201, 1));
    here.store.heal();
    here.probe.door.add_permits(1);
    is_told(&first.await.unwrap(), "repeat_running");
    for node in [&here, &there] {
        let again = node.calls("/pay-again?wait=1", &token).await.unwrap();
        assert_eq!((again.status, &again.body), (201, &taken_over.body));
    }
    assert_eq!((here.probe.runs(), there.probe.runs()), (1, 1));
    log.has(&["token.taken_over", "token.run_late"]);
}

/// Whoever is still renewed after its handler was given up would keep repeats waiting.
#[tokio::test(start_paused = true)]
async fn a_run_is_renewed_no_longer_than_it_is_answered() {
    let store = Arc::new(MemoryStore::new());
    let node = Node::start(store, Duration::ZERO).await;
    let token = node.mint().await;
    let first = node.calls("/pay-hasty?wait=1", &token).await.unwrap();
    assert_eq!(first.status, 500);
    node.store.lose(OperationKind::Conclude, Lose::Request, When::Every(1));
    tokio::time::sleep(LONG).await;
    assert_eq!(node.store.losses(), 0, "something is still renewed");
}
