//! A real disk that fills up: the server stops growing before the disk is full, and never fails.
//!
//! The disk is a file system in memory that only the server sees, in a mount namespace of its
//! own, so this needs root on Linux; without, the suite says so and the same is tested with a
//! disk that is measured by the test (`stores::room` of the integration tests).

use std::process::Command;
use std::process::Stdio;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::services::skipped;

/// What each session keeps.
const BYTES: usize = 100 * 1024;

/// Whether this user may make a namespace and mount in it.
fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "callgate", "/mnt"]);
    unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn a_disk_that_fills_up_stops_growth_and_nothing_else() {
    if !may_mount() {
        skipped("full disk", "mounting a file system of its own needs root on Linux");
        return;
    }
    let folder = folder();
    run(fill(&ServerPlan::embedded(folder.path()).on_disk_of(folder.path(), "24m")));
}

async fn fill(plan: &ServerPlan) {
    let server = plan.start();
    let mut connection = server.connect().await;
    let minted = connection.ask(&Ask::get("/mint")).await.unwrap().good();
    let (token, member) = (minted.text(), minted.cookie().unwrap().to_owned());
    let text = format!("\"{}\"", "x".repeat(BYTES));
    let mut sessions = 0;
    let refused = loop {
        let write = Ask::new("POST", "/write?key=big").body("application/json", &text);
        let reply = connection.ask(&write).await.unwrap();
        if reply.status != 200 {
            break reply;
        }
        sessions += 1;
        assert!(sessions * BYTES < 24 << 20, "more was kept than there is room for");
    };
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    serves_on(&mut connection, &member, &token).await;
    figure(
        "full disk",
        format!("{sessions} sessions of 100 KiB on 24 MiB, then 503 for new ones and no failure"),
    );
}

/// Whoever is in a session goes on.
async fn serves_on(connection: &mut Connection, member: &str, token: &str) {
    for _ in 0..200 {
        let whoami = connection.ask(&Ask::get("/whoami").cookie(member)).await.unwrap();
        whoami.good();
        let write = Ask::get("/write?key=a&value=1").cookie(member);
        connection.ask(&write).await.unwrap().good();
        assert_eq!(connection.ask(&Ask::get("/mint").cookie(member)).await.unwrap().status, 503);
    }
    let redeem = Ask::get(&format!("/context?$4DSID={token}"));
    assert_eq!(connection.ask(&redeem).await.unwrap().good().outcome(), "restored");
    connection.ask(&Ask::get("/logout").cookie(member)).await.unwrap().good();
}
