//! What a token costs there and back on Redis, held against axum with tower-sessions on the same
//! server: a program of its own, which is built when the figures are full (must show 7).

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::many::databases::Database;
use crate::many::databases::Kind as Base;
use crate::many::nodes;
use crate::speed::Contender;
use crate::speed::Kind;
use crate::speed::alternate;
use crate::speed::report;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::median;
use crate::support::run;
use crate::support::size;
use crate::support::wire::COOKIE;

/// Who is held against whom, whether both requests write to the session, and whether there is one
/// client only.
const PAIRS: [([&str; 2], bool, bool); 4] = [
    (["callgate on Redis", "axum and tower-sessions on Redis"], false, false),
    (["callgate, both write", "tower-sessions, both write"], true, false),
    (["callgate, one client", "tower-sessions, one client"], false, true),
    (["callgate, one client, both write", "tower-sessions, one client, both write"], true, true),
];
/// The cookie of tower-sessions.
const PEER_COOKIE: &str = "id";

#[test]
fn what_a_token_costs_there_and_back_beside_tower_sessions() {
    if !Base::Redis.is_installed() {
        return;
    }
    let (rounds, requests) = (size(1, 7), size(300, 20_000));
    run(async {
        let database = Base::Redis.start().await;
        let mut contenders = Vec::new();
        let peer = size(false, true).then(|| peer(&database));
        for (names, writes, alone) in PAIRS {
            let mut enter = |name, cookie, plan: &ServerPlan| {
                let kind = Kind::Callback { cookie, writes };
                let requests = if alone { requests / 10 } else { requests };
                let contender = Contender::new(name, kind, plan.start(), requests);
                contenders.push(if alone { contender.alone() } else { contender });
            };
            enter(names[0], COOKIE, &nodes::plan(&database.url()));
            if let Some(peer) = &peer {
                enter(names[1], PEER_COOKIE, peer);
            }
        }
        alternate(&mut contenders, rounds).await;
        report(&contenders);
        if peer.is_some() {
            compare(&contenders);
        }
    });
}

/// Each of ours stands before its peer.
fn compare(contenders: &[Contender]) {
    for pair in contenders.chunks(2) {
        let [ours, theirs] = pair else { continue };
        let times = median(ours.rate.clone()) / median(theirs.rate.clone());
        let cpu = median(ours.cpu.clone()) / median(theirs.cpu.clone());
        figure(
            &format!("{} against {}", ours.name, theirs.name),
            format!("{times:.2} x the requests/s, {cpu:.2} x the processor time of the server"),
        );
    }
}

/// The peer on this database, built once below the target folder.
fn peer(database: &Database) -> ServerPlan {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heavy/tower_sessions");
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tower_sessions");
    fs::create_dir_all(&to).unwrap();
    for file in ["Cargo.toml", "main.rs"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let built = Command::new("timeout")
        .args(["900", env!("CARGO"), "build", "--release", "--quiet"])
        .current_dir(&to)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program: PathBuf = to.join("target/release/tower-sessions-peer");
    ServerPlan::installed(&program).variable("REDIS", &database.url())
}
