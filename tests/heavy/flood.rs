//! A flood of callers without a cookie: nothing is stored, and memory stays flat
//! (docs/SECURITY.md C-19). Those that have something stored keep to the share of guests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::real;
use crate::support::run;
use crate::support::size;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 64;
/// How much the resident memory may grow in a flood (docs/SECURITY.md C-19 grants 50 MiB).
const GROWTH_KIB_MAX: u64 = 16 * 1024;

#[test]
fn callers_without_a_cookie_store_nothing_in_memory() {
    run(flood("memory", &ServerPlan::probe("memory:")));
}

#[test]
fn callers_without_a_cookie_store_nothing_on_disk() {
    let folder = folder();
    run(flood("embedded", &ServerPlan::embedded(folder.path())));
}

/// Addresses in networks of their own, each with the rates of one client.
const PREFIXES: usize = 120_000;
/// Sessions that the store may hold; half of them are for guests.
const SESSIONS_MAX: u64 = 20_000;
/// What the flood may take in memory and on disk: 1 KiB for each guest, and twice as much again for
/// the tables that find them and for what the journal has not cleaned up yet.
const SHARE_KIB: u64 = 3 * SESSIONS_MAX / 2 + 48 * 1024;

#[test]
fn guests_keep_to_their_share_of_memory() {
    run(guests("memory", None));
}

#[test]
fn guests_keep_to_their_share_of_a_disk() {
    let folder = folder();
    run(guests("embedded", Some(folder.path())));
}

/// Guests from everywhere, at the default rates, who each store something; and somebody who is
/// signed in.
async fn guests(name: &str, folder: Option<&Path>) {
    let plan = folder.map_or_else(|| ServerPlan::probe("memory:"), ServerPlan::embedded);
    let plan = plan.set("RATE_LIMITS", "on").set("TRUSTED_PROXIES", "127.0.0.1");
    let server = plan.set("SESSION_MAX", &SESSIONS_MAX.to_string()).start();
    let mut member = server.connect().await;
    let signed_in = member.ask(&Ask::get("/login?privileges=admin&user=ann")).await.unwrap();
    let cookie = signed_in.cookie().unwrap().to_owned();
    let before = server.memory();
    let (asked, founded) = found_for(&server, Duration::from_secs(size(3, 30))).await;
    let (after, sessions) = (server.memory(), server.census().await.0);
    let disk = folder.map_or(0, bytes_below) / 1024;
    let mut member = server.connect().await;
    let still = member.ask(&Ask::get("/whoami").cookie(&cookie)).await.unwrap();
    assert_eq!(still.json()["user"], "ann", "a guest displaced who is signed in");
    assert!(sessions <= SESSIONS_MAX / 2 + 1, "{sessions} sessions");
    let mib = |kib: u64| format!("{:.1}", real(kib) / 1024.0);
    figure(
        &format!("guests on {name}"),
        format!(
            "{asked} requests from {PREFIXES} networks, {founded} sessions founded, {sessions} left of \
             {SESSIONS_MAX} at most, RSS MiB before {} after {} peak {}, disk MiB {}",
            mib(before.resident),
            mib(after.resident),
            mib(after.peak),
            mib(disk),
        ),
    );
    assert!(after.resident < before.resident + SHARE_KIB, "{before:?} {after:?}");
    assert!(disk < SHARE_KIB, "{disk} KiB on disk");
}

/// Founds sessions for so long: the requests, and how many of them were answered.
async fn found_for(server: &Server, span: Duration) -> (usize, usize) {
    let (next, founded) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let watch = Stopwatch::start();
    let mut asking = JoinSet::new();
    for mut connection in server.connections(CONNECTIONS).await {
        let (next, founded) = (Arc::clone(&next), Arc::clone(&founded));
        asking.spawn(async move {
            while watch.elapsed() < span {
                let n = next.fetch_add(1, Ordering::Relaxed) % PREFIXES;
                let client = format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff);
                let ask = Ask::get("/write?key=cart&value=3").header("x-forwarded-for", &client);
                let reply = connection.ask(&ask).await.unwrap();
                founded.fetch_add(usize::from(reply.status == 200), Ordering::Relaxed);
            }
        });
    }
    asking.join_all().await;
    (next.load(Ordering::Relaxed), founded.load(Ordering::Relaxed))
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            data if data.is_dir() => bytes_below(&entry.path()),
            data => data.len(),
        })
        .sum()
}

async fn flood(name: &str, plan: &ServerPlan) {
    let requests = size(6_000, 1_000_000);
    let server = plan.start();
    let cold = server.memory();
    // Buffers of connections and pages of the allocator are there before it is measured.
    ask(&server, size(2_000, 20_000)).await;
    let before = server.memory();
    let watch = Stopwatch::start();
    ask(&server, requests).await;
    let elapsed = watch.elapsed().as_secs_f64();
    let after = server.memory();
    assert_eq!(server.census().await, (0, 0), "nothing is stored");
    let mib = |kib: u64| format!("{:.1}", real(kib) / 1024.0);
    figure(
        &format!("flood on {name}"),
        format!(
            "{requests} requests without a cookie in {elapsed:.1} s ({:.0}/s), sessions stored 0, \
             RSS MiB at start {} before {} after {} peak {}",
            real(requests) / elapsed,
            mib(cold.resident),
            mib(before.resident),
            mib(after.resident),
            mib(after.peak),
        ),
    );
    assert!(after.resident < before.resident + GROWTH_KIB_MAX, "{before:?} {after:?}");
}

/// Asks so many times in all, each time as somebody new.
async fn ask(server: &Server, requests: usize) {
    let left = Arc::new(AtomicUsize::new(requests));
    let mut asking = JoinSet::new();
    for mut connection in server.connections(CONNECTIONS).await {
        let left = Arc::clone(&left);
        asking.spawn(async move {
            let bytes = Ask::get("/whoami").bytes();
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let reply = connection.ask_bytes(&bytes, false).await.unwrap();
                assert!(reply.status == 200 && reply.cookie().is_some());
            }
        });
    }
    asking.join_all().await;
}
