//! Nodes of callgate that share a store and their keys.

use std::time::Duration;

use callgate::base::clock::Stopwatch;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;

/// The key of all nodes.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// How a node on the store at `url` is started.
pub(super) fn plan(url: &str) -> ServerPlan {
    ServerPlan::probe(url).set("KEYS", KEY)
}

/// Three nodes on one store.
pub(super) fn three(url: &str) -> Vec<Server> {
    (0..3).map(|_| plan(url).start()).collect()
}

/// Mints a token and redeems it, each at its node; whether both did what they should.
pub(super) async fn works(here: &mut Connection, there: &mut Connection) -> bool {
    let Ok(minted) = here.ask(&Ask::get("/mint")).await else { return false };
    if minted.status != 200 {
        return false;
    }
    let redeem = Ask::get(&format!("/share?$4DSID={}", minted.text())).browser();
    let Ok(redeemed) = there.ask(&redeem).await else { return false };
    redeemed.status == 200 && redeemed.outcome() == "restored"
}

/// Waits until a token can be minted at each node and redeemed at the next; how long that took.
///
/// # Panics
///
/// If it takes longer than `at_most`.
pub(super) async fn recovery(nodes: &[Server], at_most: Duration) -> Duration {
    let since = Stopwatch::start();
    for (at, minter) in nodes.iter().enumerate() {
        let redeemer = &nodes[(at + 1) % nodes.len()];
        let (mut minter, mut redeemer) = (minter.connect().await, redeemer.connect().await);
        while !works(&mut minter, &mut redeemer).await {
            let waited = since.elapsed();
            assert!(waited < at_most, "no normal service after {waited:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    since.elapsed()
}
