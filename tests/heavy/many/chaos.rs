//! Three nodes whose ways to the database are cut, held up and torn by seed while clients work
//! (docs/SECURITY.md C-08); whatever they were told must hold, and service is normal again soon
//! after.
//!
//! `CALLGATE_TEST_SEED=17 cargo test --test heavy many::chaos` plays one seed again: the same
//! weather and the same clients, though not the same instants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callgate::base::clock::Stopwatch;

use super::crowd::Crowd;
use super::databases::Database;
use super::databases::Kind;
use super::nodes;
use crate::checker;
use crate::support::Dice;
use crate::support::Server;
use crate::support::figure;
use crate::support::run;
use crate::support::services::proxy::Proxy;
use crate::support::services::proxy::Side;
use crate::support::services::proxy::Weather;
use crate::support::size;
use crate::world::World;

/// Clients that work at the same time.
const CLIENTS: usize = 18;
/// How long the weather is bad.
const STORM: Duration = Duration::from_secs(2);
/// After it, how long it may take until service is normal.
const CALM: Duration = Duration::from_secs(5);
/// Tokens that are minted and redeemed then, and how many of these may fail.
const FRESH: (usize, usize) = (102, 1);

#[test]
fn in_any_weather_no_word_is_broken_on_postgres() {
    run(brave(Kind::Postgres));
}

#[test]
fn in_any_weather_no_word_is_broken_on_redis() {
    run(brave(Kind::Redis));
}

async fn brave(kind: Kind) {
    if !kind.is_installed() {
        return;
    }
    let database = kind.start().await;
    let (mut operations, mut slowest) = (0, Duration::ZERO);
    let seeds = seeds();
    let count = seeds.len();
    for seed in seeds {
        let (worked, recovered) = Storm { seed }.weather(&database).await;
        operations += worked;
        slowest = slowest.max(recovered);
    }
    figure(
        &format!("bad weather on {}", kind.name()),
        format!(
            "{count} seeds, {operations} operations, 0 violations, normal service at most {:.2} s \
             after it",
            slowest.as_secs_f64()
        ),
    );
}

/// The seeds to be played.
fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "how one seed is played again")]
    let asked = std::env::var("CALLGATE_TEST_SEED");
    match asked {
        Ok(seed) => vec![seed.parse().expect("CALLGATE_TEST_SEED is a number")],
        Err(_) => (1..=size(3, 60)).collect(),
    }
}

/// One seed. It says which if it fails.
struct Storm {
    seed: u64,
}

impl Drop for Storm {
    #[expect(clippy::print_stderr, reason = "how a failure is played again")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play this again, set CALLGATE_TEST_SEED={}", self.seed);
        }
    }
}

impl Storm {
    /// Plays it; how many operations there were, and how long service took to be normal again.
    async fn weather(&self, database: &Database) -> (usize, Duration) {
        let mut proxies = Vec::new();
        for _ in 0..3 {
            proxies.push(Proxy::to(database.address()).await);
        }
        let urls = proxies.iter().map(|proxy| database.url_at(proxy.address));
        let nodes: Vec<Server> = urls.map(|url| nodes::plan(&url).start()).collect();
        let world = Arc::new(World::shared());
        let crowd = Crowd::gather(&world, &nodes, CLIENTS, self.seed);
        rage(&proxies, &mut Dice::new(self.seed)).await;
        let recovered = nodes::recovery(&nodes, CALM).await;
        crowd.stop().await;
        thrives(&nodes).await;
        let mut connection = nodes[0].connect().await;
        world.verify(&mut connection, &mut Dice::new(1), 1).await;
        let history = world.history();
        let violations = checker::check(&history);
        let about = violations.first().map(|it| checker::about(&history, *it));
        assert_eq!(violations, [], "a word was not kept: {about:#?}");
        (history.len(), recovered)
    }
}

/// Bad weather for some nodes, then for others, and fair weather at the end.
async fn rage(proxies: &[Proxy], dice: &mut Dice) {
    let pause = |dice: &mut Dice, most: usize| {
        tokio::time::sleep(Duration::from_millis(dice.below(most) as u64))
    };
    let since = Stopwatch::start();
    while since.elapsed() < STORM {
        let (first, count) = (dice.below(3), 1 + dice.below(3));
        let hit: Vec<&Proxy> = (first..first + count).map(|at| &proxies[at % 3]).collect();
        for proxy in &hit {
            proxy.set(bad_weather(dice));
        }
        pause(dice, 700).await;
        for proxy in &hit {
            // What was held up comes now, or never.
            if dice.below(2) == 0 {
                proxy.cut();
            }
            proxy.set(Weather::Fair);
        }
        pause(dice, 200).await;
    }
}

/// Mints and redeems across all nodes.
async fn thrives(nodes: &[Server]) {
    let (fresh, failures_max) = FRESH;
    let mut failures = 0;
    for at in 0..fresh {
        let address = |at: usize| -> SocketAddr { nodes[at % nodes.len()].address };
        let mut minter = crate::support::Connection::open(address(at)).await.unwrap();
        let mut redeemer = crate::support::Connection::open(address(at + 1)).await.unwrap();
        failures += usize::from(!nodes::works(&mut minter, &mut redeemer).await);
    }
    assert!(failures <= failures_max, "{failures} of {fresh} failed in fair weather");
}

/// Any bad weather, with a bound on how slow.
fn bad_weather(dice: &mut Dice) -> Weather {
    let side = if dice.below(2) == 0 { Side::Client } else { Side::Server };
    match dice.below(8) {
        0 => Weather::Down,
        1 => Weather::Blackhole,
        2 => Weather::OneWay(side),
        3 => Weather::Slow(Duration::from_millis(1 + dice.below(500) as u64)),
        4 => Weather::HalfClosed(side),
        5 => Weather::Reset(1 + dice.below(2_000)),
        _ => Weather::ReplyLost,
    }
}
