//! Events of the log that no other test is about: what provokes them, and that they are there.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use callgate::base::clock::ManualClock;
use callgate::base::limits::DEVICES_PER_SESSION_MAX;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::live::Config;
use callgate::store::memory::MemoryStore;
use callgate::store::port::OperationKind;
use callgate::store::sweep;
use serde_json::Value;
use tokio::sync::watch;

use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::founding;
use crate::support::house;
use crate::support::log::Log;
use crate::support::program;

#[tokio::test]
async fn a_sweep_says_what_it_dropped_and_that_it_could_not() {
    let (log, _capture) = Log::capture();
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new())));
    store.create(START, founding()).await.unwrap();
    let clock = Arc::new(ManualClock::at(START.after(Duration::from_hours(24 * 365))));
    let (stop, stopped) = watch::channel(false);
    store.lose(OperationKind::Sweep, Lose::Request, When::Next(1));
    let first = tokio::spawn(sweep::run(store.clone(), clock.clone(), stopped.clone()));
    while log.of("store.sweep.failed").is_empty() {
        tokio::task::yield_now().await;
    }
    first.abort();
    let second = tokio::spawn(sweep::run(store, clock, stopped));
    while log.of("store.swept").is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send(true).unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_ahead_of_the_clock_says_so() {
    let (log, _capture) = Log::capture();
    let store = EmbeddedStore::open_on(Disk::new(), Config::default()).unwrap();
    let late = START.after(Duration::from_hours(72));
    store.create(late, founding()).await.unwrap();
    assert_eq!(store.compare_clock(START), Duration::from_hours(72));
    log.has(&["store.open", "store.clock_ahead"]);
    assert_eq!(log.of("store.clock_ahead")[0]["hours"], 72);
}

#[tokio::test]
async fn a_logout_is_told() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    let member = house.visitor();
    member.write("k", "1").await;
    member.get("/logout").send().await;
    log.has(&["session.ended"]);
    assert_eq!(log.of("session.ended")[0]["source"], "logout");
}

#[tokio::test]
async fn a_browser_that_makes_room_for_another_one_is_told_of() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    let member = house.visitor();
    member.write("k", "1").await;
    for _ in 0..DEVICES_PER_SESSION_MAX {
        let token = member.mint("").await;
        house.visitor().follow("/whoami", &token).await;
    }
    log.has(&["session.device_displaced"]);
}

/// The first and the last lines of a server on a store that has something to say.
#[test]
fn a_server_says_what_its_store_guarantees_and_that_it_ended() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("handlers.json"), "[]").unwrap();
    let mut command = Command::new("sh");
    // The shell ends the server as soon as it listens, and waits for its end.
    let script = r#""$1" --store embedded:data --listen 127.0.0.1:0 --internal off > said &
        until grep -q '^listening' said; do kill -0 $! || exit 1; done; kill $!; wait $!"#;
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_callgate")]).current_dir(place.path());
    command.env("CALLGATE_LOG_FORMAT", "json").env("CALLGATE_LISTN", "a slip of the keyboard");
    let output = program::output(&mut command);
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = text.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
    for event in [
        "settings.warning",
        "store.open",
        "store.guarantees",
        "server.started",
        "server.stopping",
        "server.stopped",
    ] {
        let told = lines.iter().any(|line| line["event"] == event);
        assert!(told, "{event} was not logged:\n{text}");
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
}
