//! A flood of callers without a cookie: nothing is stored, and memory stays flat (SEC C-19).

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

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
/// How much the resident memory may grow in a flood (SEC C-19 grants 50 MiB).
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
