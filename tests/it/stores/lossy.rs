//! Disks that fail at every single call, and power cuts in the middle of everything
//! (docs/SECURITY.md C-09): the store stops loudly, and after a restart every word it gave holds,
//! or it does not start.

use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;

use crate::stores::disk::Disk;
use crate::stores::disk::Fails;
use crate::stores::kit::START;
use crate::stores::trace::Trace;
use crate::support::dice::Dice;
use crate::support::size;

/// Verbs of one trace.
const VERBS: usize = 400;

/// What became of the disks that somebody tried to start from again.
#[derive(Debug, Default)]
struct Restarts {
    opened: usize,
    refused: usize,
}

impl Restarts {
    /// Opens what a crash has left. What is opened must keep every word.
    async fn judge(&mut self, disk: Disk, trace: &Trace) {
        match EmbeddedStore::open_on(disk, Config::default()) {
            Ok(store) => {
                trace.verify(&store).await;
                self.opened += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("cannot be"), "it says what to do: {error}");
                self.refused += 1;
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures are collected from the output of the tests")]
fn figure(name: &str, what: impl std::fmt::Display) {
    println!("figure: {name}: {what}");
}

/// Goes through a trace; after a failure, nothing is done any more.
async fn drive(store: &EmbeddedStore, trace: &mut Trace) -> Result<(), StoreError> {
    while trace.answered < VERBS {
        let begun = trace.begin();
        trace.finish(begun, store).await?;
    }
    Ok(())
}

async fn refuses_everything(store: &EmbeddedStore) {
    let look =
        store.look(START, callgate::base::SessionId::from_bytes([9; 16]), Right::Operator).await;
    assert!(matches!(look, Err(StoreError::Corrupt(_))), "{look:?}");
    let sweep = store.sweep(START, 1).await;
    assert!(matches!(sweep, Err(StoreError::Corrupt(_))), "{sweep:?}");
    assert!(store.self_check().await.is_err(), "a store that failed says that it is well");
    assert!(store.close().await.is_err());
}

/// Every write, fsync and change of length of the trace fails once, and again with everything
/// after it.
#[tokio::test]
async fn whichever_call_to_the_disk_fails_no_word_is_broken() {
    let (mut points, mut swallowed, mut restarts) = (0, 0, Restarts::default());
    let mut whole = Trace::new(9);
    let disk = Disk::new();
    let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
    // The trace is cut into verbs, and each failing verb begins on a copy of the disk before it.
    for verb in 0..VERBS {
        let (before, calls) = (disk.after_kill(), disk.calls());
        let known = whole.clone();
        let begun = whole.begin();
        whole.finish(begun, &store).await.unwrap();
        if verb % size(61, 1) != 0 {
            continue;
        }
        for call in 0..disk.calls() - calls {
            for failing in [Fails::Once as fn(usize) -> Fails, Fails::From] {
                let (disk, mut trace) = (before.after_kill(), known.clone());
                let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
                disk.fail(failing(disk.calls() + call));
                let begun = trace.begin();
                let done = trace.finish(begun, &store).await;
                if disk.failures() == 0 {
                    continue;
                }
                points += 1;
                match done {
                    Err(StoreError::Unreachable(_)) => refuses_everything(&store).await,
                    Err(other) => panic!("call {call} of verb {verb}: {other:?}"),
                    Ok(()) => swallowed += 1,
                }
                let seed = (verb * 100 + call) as u64;
                let lefts = [disk.after_kill(), disk.after_power_cut(), disk.after_torn_cut(seed)];
                // One kind of crash for each failure, in turn, or all.
                for left in lefts.into_iter().skip(call % size(3, 1)).take(size(1, 3)) {
                    restarts.judge(left, &trace).await;
                }
            }
        }
    }
    figure(
        "every call to the disk fails",
        format!(
            "{VERBS} verbs, {points} failures, of which {swallowed} did no harm; {} restarts, {} \
             refused to start",
            restarts.opened, restarts.refused
        ),
    );
    assert!(points > 0 && restarts.opened > 0);
}

#[tokio::test]
async fn whenever_the_power_goes_no_word_is_broken() {
    let (cuts, mut restarts, mut dice) = (size(40, 200), Restarts::default(), Dice::new(3));
    let mut reached = 0;
    for seed in 0..cuts {
        let disk = Disk::new();
        let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
        let mut trace = Trace::new(seed);
        disk.cut_before(disk.calls() + dice.below(4 * VERBS), seed);
        while trace.answered < VERBS && disk.left().is_none() {
            let begun = trace.begin();
            let known = trace.clone();
            trace.finish(begun, &store).await.unwrap();
            // The power went before this verb was answered.
            if let Some(left) = disk.left() {
                restarts.judge(left, &known).await;
                reached += 1;
            }
        }
    }
    figure(
        "power cuts with torn and reordered sectors",
        format!(
            "{reached} of {cuts} in the middle of a trace; {} restarts, {} refused to start",
            restarts.opened, restarts.refused
        ),
    );
    assert!(reached > cuts / 2 && restarts.opened > 0);
}

#[tokio::test]
async fn whichever_read_fails_at_a_start_nothing_is_forgotten() {
    let disk = Disk::new();
    let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
    let mut trace = Trace::new(5);
    drive(&store, &mut trace).await.unwrap();
    let reads = {
        let whole = disk.after_kill();
        EmbeddedStore::open_on(whole.clone(), Config::default()).unwrap();
        whole.reads()
    };
    let mut restarts = Restarts::default();
    for read in (0..reads).step_by(size(7, 1)) {
        let failing = disk.after_kill();
        failing.fail(Fails::Read(read));
        restarts.judge(failing, &trace).await;
    }
    figure(
        "every read fails at a start",
        format!("{reads} reads; {} starts, {} refused", restarts.opened, restarts.refused),
    );
    assert!(restarts.refused > 0);
}

/// No store can notice a disk that lies; this shows that the checks above would notice a store
/// that answers too early.
#[tokio::test]
async fn words_that_no_fsync_has_made_sure_of_are_found_broken() {
    let disk = Disk::new();
    let store = EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap();
    let mut trace = Trace::new(7);
    disk.lie();
    drive(&store, &mut trace).await.unwrap();
    let left = disk.after_power_cut();
    let judged = tokio::spawn(async move { Restarts::default().judge(left, &trace).await });
    assert!(judged.await.is_err_and(|error| error.is_panic()), "it was not noticed");
}
