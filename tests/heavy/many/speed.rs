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

/// Least tokens that go there and back while the peer manages one.
const TIMES_MIN: f64 = 1.5;
/// The cookie of tower-sessions.
const PEER_COOKIE: &str = "id";

#[test]
fn a_token_goes_there_and_back_faster_than_with_tower_sessions() {
    if !Base::Redis.is_installed() {
        return;
    }
    let (rounds, requests) = (size(1, 7), size(300, 20_000));
    run(async {
        let database = Base::Redis.start().await;
        let mut contenders = Vec::new();
        let peer = size(false, true).then(|| peer(&database));
        for writes in [false, true] {
            let ours = Kind::Callback { cookie: COOKIE, writes };
            let theirs = Kind::Callback { cookie: PEER_COOKIE, writes };
            let names = if writes {
                ("callgate on Redis, both requests write", "tower-sessions, both requests write")
            } else {
                ("callgate on Redis", "axum and tower-sessions on Redis")
            };
            let node = nodes::plan(&database.url()).start();
            contenders.push(Contender::new(names.0, ours, node, requests));
            if let Some(plan) = &peer {
                contenders.push(Contender::new(names.1, theirs, plan.start(), requests));
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
    let [ours, theirs] = [&contenders[0], &contenders[1]].map(|it| median(it.rate.clone()));
    let times = ours / theirs;
    assert!(times >= TIMES_MIN, "{times:.2} x the throughput of tower-sessions");
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
