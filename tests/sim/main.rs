//! Three nodes, a database and the network between them, simulated: one seed decides all that goes
//! wrong, and the same seed goes wrong in the same way again.
//!
//! The nodes are whole gates on the real store for many nodes; what is made up is the database (an
//! engine of maps), the network (cut, one-way, held up, slow), the clocks (minutes apart) and the
//! time. To see one seed again:
//!
//! ```text
//! CALLGATE_SIM_SEED=4711 cargo test --all-features --test sim -- --nocapture
//! ```
//!
//! Of the seeds of a run, one half has a database that keeps its word, the other one that forgets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

#[path = "../heavy/checker.rs"]
mod checker;
#[path = "../it/support/dice.rs"]
mod dice;
#[expect(dead_code, reason = "the tests without a network use more of it")]
#[path = "../it/support/probe.rs"]
mod probe;
mod trial;
mod turning;
mod unchecked;
mod wire;
mod world;

use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use callgate::store::port::OperationKind;
use checker::Violation;
use trial::Kind;
use trial::Seen;

/// Seeds of one run, unless `CALLGATE_SIM_SEEDS` says how many; `./test` takes 2,000.
const SEEDS: u64 = 40;

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test run, not of callgate")]
    std::env::var(name).ok()
}

/// Runs these seeds on all cores; what was seen, by seed, and how much was done.
fn run_all(kind: Kind, seeds: Range<u64>) -> Vec<(u64, Seen)> {
    let next = AtomicU64::new(seeds.start);
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut all = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        if seed >= seeds.end {
                            return all;
                        }
                        all.push((seed, trial::run(kind, seed)));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[expect(clippy::print_stdout, reason = "figures are collected from the output of the tests")]
fn report(name: &str, all: &[(u64, Seen)]) {
    let sum = |of: fn(&Seen) -> usize| all.iter().map(|(_, seen)| of(seen)).sum::<usize>();
    println!(
        "figure: simulation, {name}: {} seeds, {} operations ({} of unknown outcome), {} tokens \
         granted, {} ends of rights, {} faults, {} restarts of nodes, {} fail-overs",
        all.len(),
        sum(|seen| seen.operations),
        sum(|seen| seen.unknown),
        sum(|seen| seen.granted),
        sum(|seen| seen.turns),
        sum(|seen| seen.faults),
        sum(|seen| seen.crashes),
        sum(|seen| seen.fail_overs),
    );
}

fn judge(kind: Kind, name: &str, forgives: fn(&Violation) -> bool) {
    let seeds = variable("CALLGATE_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let all = match variable("CALLGATE_SIM_SEED") {
        Some(seed) => {
            let seed = seed.parse().unwrap();
            vec![(seed, trial::run(kind, seed))]
        }
        None => run_all(kind, 0..seeds / 2),
    };
    report(name, &all);
    for (seed, seen) in &all {
        let broken: Vec<_> = seen.violations.iter().filter(|it| !forgives(it)).collect();
        let about = &seen.about;
        assert!(broken.is_empty(), "CALLGATE_SIM_SEED={seed} ({name}): {broken:?}\n{about:#?}");
        let wrong = &seen.wrong;
        let forgets = kind.forgets();
        assert!(forgets || wrong.is_empty(), "CALLGATE_SIM_SEED={seed} ({name}): {wrong:#?}");
        let alive = seen.revived;
        assert!(
            alive,
            "CALLGATE_SIM_SEED={seed} ({name}): no service 5 s after the network healed"
        );
    }
}

/// A network that loses, delays and cuts, nodes that die, clocks that disagree: every word is kept.
#[test]
fn three_nodes_keep_their_word_on_a_network_that_does_not() {
    judge(Kind::Faithful, "a database that keeps its word", |_| false);
}

/// A database that loses what it has acknowledged: words are lost with it, and no token is granted
/// twice for all that.
#[test]
fn a_database_that_forgets_grants_nothing_twice() {
    judge(Kind::Forgetful, "a database that forgets", |violation| {
        !matches!(violation, Violation::GrantedTwice { .. } | Violation::GrantedWrongly { .. })
    });
}

/// The control: without the fence the same trials find tokens that are granted twice.
#[test]
fn without_the_fence_the_trials_find_double_grants() {
    let all = run_all(Kind::Unfenced, 0..50);
    let twice =
        |seen: &Seen| seen.violations.iter().any(|it| matches!(it, Violation::GrantedTwice { .. }));
    report("a database that forgets, without the fence", &all);
    assert!(all.iter().any(|(_, seen)| twice(seen)), "no trial would have noticed");
}

/// The control of the rights: where one verb does not check them, the same trials show what an ended
/// right has seen or done.
#[test]
fn without_the_check_of_a_right_the_trials_find_what_ended_rights_do() {
    const BATCH: u64 = 24;
    for verb in [OperationKind::Patch, OperationKind::Mint, OperationKind::Look, OperationKind::End]
    {
        let notices = |batch: u64| {
            let all = run_all(Kind::Unchecked(verb), batch * BATCH..(batch + 1) * BATCH);
            report(&format!("no right checked by {verb:?}"), &all);
            all.iter().any(|(_, seen)| !seen.wrong.is_empty())
        };
        assert!((0..8).any(notices), "no trial would have noticed that {verb:?} checks no right");
    }
}

#[test]
fn a_seed_goes_the_same_way_each_time() {
    for seed in [3, 1_000_003] {
        let (first, second) = (trial::run(Kind::Faithful, seed), trial::run(Kind::Faithful, seed));
        assert_eq!(first, second);
    }
}
