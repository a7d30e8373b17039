//! What a class file costs: held against the same handler in Rust, and against Express.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::speed::Contender;
use crate::speed::Kind;
use crate::speed::RESUME;
use crate::speed::alternate;
use crate::speed::report;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::median;
use crate::support::process::folder;
use crate::support::run;
use crate::support::services::skipped;
use crate::support::size;
use crate::support::wire::COOKIE;

/// A handler in Rust and one in JavaScript beside each other, over one session.
const TABLE: &str = r#"[
    { "class": "Probe", "method": "read", "pattern": "read" },
    { "class": "Probe", "method": "write", "pattern": "write" },
    { "class": "Trivial", "method": "read", "pattern": "class/read" }
]"#;

/// Answers what `Probe.read` answers.
const TRIVIAL: &str = "export default class Trivial {
  read(request, session) {
    return session.storage[request.urlQuery.key];
  }
}
";

/// The same of a class file.
const CLASS: Kind = Kind::Resume { path: "/class/read?key=a", cookie: COOKIE };
/// The same of Express, whose cookie has another name.
const EXPRESS: Kind = Kind::Resume { path: "/class/read?key=a", cookie: "connect.sid" };

/// Most processor time that a class file may take, in that of the same handler in Rust.
const CPU_TIMES_MAX: f64 = 3.0;
/// Least requests that it must answer while Express answers one.
const EXPRESS_TIMES_MIN: f64 = 3.0;

#[test]
fn a_class_file_is_at_most_three_times_rust_and_three_times_express() {
    let (rounds, requests) = (size(1, 7), size(600, 30_000));
    let (home, disk) = (folder(), folder());
    let memory = serving(home.path(), ServerPlan::probe("memory:"));
    let embedded = serving(disk.path(), ServerPlan::embedded(disk.path()));
    let of = |name, kind, server| Contender::new(name, kind, server, requests);
    let mut contenders = vec![
        of("Rust, memory", RESUME, memory.start()),
        of("class file, memory", CLASS, memory.start()),
        of("class file, embedded", CLASS, embedded.start()),
    ];
    match express() {
        Ok(server) => contenders.push(of("Express, memory", EXPRESS, server)),
        Err(why) => skipped("speed of Express", &why),
    }
    run(alternate(&mut contenders, rounds));
    report(&contenders);
    let cpu = |at: usize| median(contenders[at].cpu.clone());
    let rate = |at: usize| median(contenders[at].rate.clone());
    // A debug build and a handful of requests say nothing about speed.
    let counts = size(false, true);
    let times = cpu(1) / cpu(0);
    assert!(!counts || times <= CPU_TIMES_MAX, "{times:.2} x the processor time of Rust");
    if contenders.len() > 3 {
        let times = rate(1) / rate(3);
        figure("class file against Express", format!("{times:.2} x the requests/s, memory"));
        figure("class file against Express", format!("{:.2} x, embedded", rate(2) / rate(3)));
        assert!(!counts || times >= EXPRESS_TIMES_MIN, "{times:.2} x the throughput of Express");
    }
}

/// A server with its table and its class file in `home`.
fn serving(home: &Path, plan: ServerPlan) -> ServerPlan {
    let table = home.join("handlers.json");
    fs::write(&table, TABLE).unwrap();
    fs::create_dir(home.join("classes")).unwrap();
    fs::write(home.join("classes/Trivial.js"), TRIVIAL).unwrap();
    plan.word("marks").set("HANDLERS", &table.display().to_string()).set("RELOAD", "off")
}

/// Express, installed once below the target folder; or what is missing.
fn express() -> Result<Server, String> {
    let node = found("node")?;
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heavy/express"), place());
    fs::create_dir_all(&to).unwrap();
    for file in ["package.json", "server.cjs"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    if !to.join("node_modules/express-session").exists() {
        install(&to)?;
    }
    let script = to.join("server.cjs").display().to_string();
    let plan = ServerPlan::installed(&node).word(&script).variable("NODE_ENV", "production");
    Ok(plan.start())
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("express")
}

/// Installs what `package.json` names.
fn install(folder: &Path) -> Result<(), String> {
    let npm = found("npm")?;
    let words =
        ["60", &npm.display().to_string(), "install", "--no-audit", "--no-fund"].map(str::to_owned);
    let installed = Command::new("timeout")
        .args(words)
        .args(["--no-package-lock", "--loglevel=error"])
        .current_dir(folder)
        .output();
    match installed {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("npm: {error}")),
    }
}

/// Where the shell finds a program.
fn found(program: &str) -> Result<PathBuf, String> {
    let looked = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
    let path = String::from_utf8(looked.unwrap().stdout).unwrap();
    if path.is_empty() { Err(format!("{program} is missing")) } else { Ok(path.trim().into()) }
}
