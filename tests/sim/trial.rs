//! One seed: three nodes, their clients, and what goes wrong between them and the database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::Gate;
use callgate::Settings;
use callgate::base::Clock;
use callgate::base::Timestamp;
use callgate::base::secret::SecretText;
use callgate::base::secret::entropy::SeededEntropy;
use callgate::settings::StoreUrl;
use callgate::store::Store;
use callgate::store::port::OperationKind;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;
use turmoil::Sim;

use crate::checker;
use crate::checker::Act;
use crate::checker::Ending;
use crate::checker::Redemption;
use crate::checker::Violation;
use crate::dice::Dice;
use crate::probe;
use crate::probe::Probe;
use crate::unchecked::Unchecked;
use crate::wire;
use crate::wire::DATABASE;
use crate::wire::Desk;
use crate::wire::Remote;
use crate::world::World;

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];
/// Clients of each node.
const CLIENTS: usize = 3;
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(8);
/// From the end of the trouble to normal service (must show 5).
const RECOVERY: Duration = Duration::from_secs(5);
/// The end of a trial, whatever has become of it.
const END: Duration = Duration::from_mins(1);
/// Where the clocks begin.
const EPOCH_MS: u64 = 1_900_000_000_000;
/// How far apart the clocks of the nodes can be: ten minutes.
const SKEW_MS: usize = 600_000;

/// What kind of trial it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The database keeps its word.
    Faithful,
    /// Replicas that lag behind take over.
    Forgetful,
    /// The same, and the fence is not looked at.
    Unfenced,
    /// The database keeps its word, and this verb of the nodes' stores checks no right.
    Unchecked(OperationKind),
}

impl Kind {
    /// Whether the database loses what it has acknowledged.
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Self::Forgetful | Self::Unfenced)
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) violations: Vec<Violation>,
    /// What was asked and told about the sessions that they are about.
    pub(crate) about: Vec<String>,
    /// Whether every node was in service again in time.
    pub(crate) revived: bool,
    pub(crate) operations: usize,
    pub(crate) unknown: usize,
    pub(crate) granted: usize,
    /// How often rights were ended, and what an ended one has seen or done.
    pub(crate) turns: usize,
    pub(crate) wrong: Vec<String>,
    pub(crate) faults: usize,
    pub(crate) crashes: usize,
    pub(crate) fail_overs: usize,
}

/// A wall clock that is set wrong.
#[derive(Debug)]
struct Skewed {
    offset_ms: u64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let passed = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp::from_millis(EPOCH_MS + self.offset_ms).after(passed)
    }
}

/// Takes one trial from beginning to end.
pub(crate) fn run(kind: Kind, seed: u64) -> Seen {
    let mut dice = Dice::new(seed);
    let engine = match kind {
        Kind::Unfenced => MapEngine::without_fence(),
        Kind::Faithful | Kind::Forgetful | Kind::Unchecked(_) => MapEngine::default(),
    };
    let (engine, desk) = (Arc::new(engine), Arc::new(Desk::default()));
    let world = Arc::new(World::new(settings().cookie_name()));
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(10))
        .simulation_duration(END + RECOVERY)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    let (host_engine, host_desk) = (Arc::clone(&engine), Arc::clone(&desk));
    sim.host(DATABASE, move || wire::serve(Arc::clone(&host_engine), Arc::clone(&host_desk)));
    for (number, name) in NODES.into_iter().enumerate() {
        let offset_ms = dice.below(SKEW_MS) as u64;
        let (desk, world) = (Arc::clone(&desk), Arc::clone(&world));
        let node_seed = seed.wrapping_mul(31).wrapping_add(number as u64);
        sim.host(name, move || {
            let looks = number == 0;
            let store = SharedStore::new(Arc::new(Remote::new(Arc::clone(&desk))));
            let store: Arc<dyn Store> = match kind {
                Kind::Unchecked(verb) => Arc::new(Unchecked::new(store, verb)),
                Kind::Faithful | Kind::Forgetful | Kind::Unfenced => store,
            };
            node(store, Arc::clone(&world), offset_ms, (node_seed, looks))
        });
    }
    let mut trouble = Trouble::new(kind, dice, engine);
    trouble.make(&mut sim);
    let revived = recover(&mut sim, &world);
    judge(&world, &trouble, revived)
}

/// Steps until every node has looked at everything; whether they were back in time.
fn recover(sim: &mut Sim<'_>, world: &World) -> bool {
    world.healed.store(true, Ordering::SeqCst);
    while world.looked.load(Ordering::SeqCst) < NODES.len() {
        if sim.elapsed() >= END {
            return false;
        }
        sim.step().unwrap();
    }
    true
}

fn judge(world: &World, trouble: &Trouble, revived: bool) -> Seen {
    let history = world.history();
    let granted = |act: &Act| matches!(act, Act::Redeem { saw: Redemption::Granted(_), .. });
    let violations = checker::check(&history);
    let about = violations.iter().flat_map(|it| checker::about(&history, *it));
    Seen {
        about: about.map(|operation| format!("{operation:?}")).collect(),
        violations,
        revived,
        operations: history.len(),
        unknown: history.iter().filter(|it| it.ending == Ending::Info).count(),
        granted: history.iter().filter(|it| granted(&it.act)).count(),
        turns: usize::try_from(world.turnings.turns()).unwrap(),
        wrong: world.turnings.wrong(),
        faults: trouble.faults,
        crashes: trouble.crashes,
        fail_overs: trouble.fail_overs,
    }
}

fn settings() -> Settings {
    Settings {
        store: StoreUrl::Memory,
        handlers: Path::new("nowhere/handlers.json").to_owned(),
        keys: vec![SecretText::new("5".repeat(64))],
        rate_limits: false,
        ..Settings::default()
    }
}

/// A node with its clients, from its start to its end or to the crash of its host. One of the nodes
/// looks at everything at the end.
async fn node(
    store: Arc<dyn Store>,
    world: Arc<World>,
    offset_ms: u64,
    (seed, looks): (u64, bool),
) -> turmoil::Result {
    // What a node draws after a crash it has not drawn before.
    let born = turmoil::sim_elapsed().unwrap_or_default();
    let seed = seed ^ u64::try_from(born.as_millis()).unwrap_or_default() << 32;
    let gate = Gate::builder(settings())
        .table(probe::TABLE)
        .singleton(probe::singleton(Arc::new(Probe::new())))
        .store(store)
        .clock(Arc::new(Skewed { offset_ms }))
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .open()
        .await?;
    let gate = Arc::new(gate);
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (gate, world) = (Arc::clone(&gate), Arc::clone(&world));
        let mut dice = Dice::new(seed.wrapping_add(1_000 * (client as u64 + 1)));
        clients.push(tokio::spawn(async move {
            while !world.healed.load(Ordering::SeqCst) {
                world.step(&gate, &mut dice).await;
                tokio::time::sleep(Duration::from_millis(50 + dice.below(150) as u64)).await;
            }
        }));
    }
    for client in clients {
        client.await?;
    }
    let time = || turmoil::sim_elapsed().unwrap_or_default();
    let healed = time();
    while !world.is_in_service(&gate).await {
        let waited = time().saturating_sub(healed);
        assert!(waited < RECOVERY, "a node is not in service after {waited:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if looks {
        world.look_at_everything(&gate).await;
    }
    world.looked.fetch_add(1, Ordering::SeqCst);
    std::future::pending().await
}

/// What goes wrong.
struct Trouble {
    kind: Kind,
    dice: Dice,
    engine: Arc<MapEngine>,
    faults: usize,
    crashes: usize,
    fail_overs: usize,
}

impl Trouble {
    fn new(kind: Kind, dice: Dice, engine: Arc<MapEngine>) -> Self {
        Self { kind, dice, engine, faults: 0, crashes: 0, fail_overs: 0 }
    }

    /// One fault after the other, each with some time before and during it; all are mended.
    fn make(&mut self, sim: &mut Sim<'_>) {
        while sim.elapsed() < TROUBLE {
            self.wait(sim, 50, 500);
            self.faults += 1;
            let node = NODES[self.dice.below(NODES.len())];
            match self.dice.below(if self.kind.forgets() { 8 } else { 6 }) {
                0 => {
                    sim.partition(node, DATABASE);
                    self.wait(sim, 50, 1_500);
                    sim.repair(node, DATABASE);
                }
                // The request arrives, and its answer does not.
                1 | 2 => {
                    sim.partition_oneway(DATABASE, node);
                    self.wait(sim, 20, 700);
                    sim.repair_oneway(DATABASE, node);
                }
                3 => {
                    sim.hold(node, DATABASE);
                    self.wait(sim, 50, 900);
                    sim.release(node, DATABASE);
                }
                4 => {
                    sim.set_link_latency(node, DATABASE, Duration::from_millis(200));
                    self.wait(sim, 100, 900);
                    sim.set_link_latency(node, DATABASE, Duration::from_millis(2));
                }
                5 => {
                    self.crashes += 1;
                    sim.crash(node);
                    self.wait(sim, 10, 300);
                    sim.bounce(node);
                }
                _ => self.fail_over(sim),
            }
        }
    }

    /// A replica takes over that has not heard of the last moments.
    fn fail_over(&mut self, sim: &mut Sim<'_>) {
        self.fail_overs += 1;
        let behind = self.engine.snapshot();
        self.wait(sim, 20, 600);
        self.engine.fail_over(behind);
    }

    fn wait(&mut self, sim: &mut Sim<'_>, least_ms: usize, more_ms: usize) {
        let span = Duration::from_millis((least_ms + self.dice.below(more_ms)) as u64);
        let until = sim.elapsed() + span;
        while sim.elapsed() < until {
            sim.step().unwrap();
        }
    }
}
