//! Every secret there is, looked for everywhere it must not be (docs/SECURITY.md C-23,
//! docs/CONTRACT.md §6.6).

mod flows;
mod operator;
mod secrets;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod shared;

use std::path::Path;
use std::process::Command;

use crate::support::Ask;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use flows::Visit;
use secrets::Secrets;

/// What is written below a server's folder and must hold the key: nothing else may.
const KEY_FILE: &str = "callgate.key";

/// What the flows must have met: statuses, and outcomes of redemptions.
const AIMS: &[&str] = &[
    "200",
    "204",
    "303",
    "400",
    "401",
    "403",
    "404",
    "405",
    "413",
    "414",
    "415",
    "431",
    "500",
    "501",
    "503",
    "absent",
    "restored",
    "used",
    "unknown",
    "sessionGone",
    "endedBySignIn",
    "wrongHandler",
];

#[test]
fn no_secret_is_anywhere_it_was_not_handed_out() {
    let mut searched = Searched::default();
    for (format, level) in
        [("json", "info"), ("json", "trace"), ("text", "debug"), ("text", "trace")]
    {
        searched.add(&run(visit(format, level)));
    }
    figure(
        "secrets canary",
        format!(
            "{} requests, {} secrets searched in {} forms in {} artefacts of {} KiB: {} hits",
            searched.requests,
            searched.secrets,
            searched.forms,
            searched.artefacts,
            searched.bytes / 1024,
            searched.hits.len()
        ),
    );
    assert!(searched.hits.is_empty(), "{:#?}", searched.hits);
}

#[test]
fn a_secret_in_a_log_or_a_page_or_a_file_is_found() {
    run(async {
        let folder = folder();
        let log = folder.path().join("log");
        let mut server = ServerPlan::embedded(folder.path()).log(&log).start();
        let mut visit = Visit::begin(&server).await;
        let token = visit.mint().await;
        visit.plain(Ask::get(&format!("/control/leak?text={token}"))).await;
        visit.plain(Ask::get(&format!("/say?body={token}"))).await;
        visit.plain(Ask::get(&format!("/write?key=a&value={}", token.to_lowercase()))).await;
        stop(&mut server);
        let hits = search(&visit, folder.path(), &log).hits;
        for place in ["log", "answer", "callgate.redb"] {
            assert!(hits.iter().any(|hit| hit.contains(place)), "{place} is not in {hits:#?}");
        }
    });
}

/// What was searched, and what was found.
#[derive(Default)]
struct Searched {
    requests: usize,
    secrets: usize,
    forms: usize,
    artefacts: usize,
    bytes: usize,
    hits: Vec<String>,
}

impl Searched {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.secrets += other.secrets;
        self.forms += other.forms;
        self.artefacts += other.artefacts;
        self.bytes += other.bytes;
        self.hits.extend(other.hits.iter().cloned());
    }

    fn look(&mut self, name: &str, bytes: &[u8], secrets: &Secrets) {
        self.artefacts += 1;
        self.bytes += bytes.len();
        self.hits.extend(secrets.find(bytes).into_iter().map(|what| format!("{name}: {what}")));
    }
}

/// One server, all flows, and the search.
async fn visit(format: &str, level: &str) -> Searched {
    let folder = folder();
    let log = folder.path().join("log");
    let plan = ServerPlan::embedded(folder.path())
        .word("faulty")
        .set("INTERNAL", "127.0.0.1:0")
        .set("LOG_FORMAT", format)
        .set("LOG_LEVEL", level)
        .log(&log);
    let mut server = plan.start();
    let mut visit = Visit::begin(&server).await;
    visit.everything(&server).await;
    for aim in AIMS {
        assert!(visit.met.contains(*aim), "no {aim} among {:?}", visit.met);
    }
    let key = std::fs::read_to_string(folder.path().join("data").join(KEY_FILE)).unwrap();
    let key = key.split_whitespace().find(|word| word.len() == 64).unwrap();
    operator::operate(&server, &mut visit, key, false).await;
    stop(&mut server);
    visit.secrets.add_key(key);
    for output in commands(folder.path(), key, &visit.secrets.tokens()[0]) {
        visit.pages.push(("command".to_owned(), output));
    }
    search(&visit, folder.path(), &log)
}

fn stop(server: &mut Server) {
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
}

fn search(visit: &Visit, folder: &Path, log: &Path) -> Searched {
    let secrets = &visit.secrets;
    let (count, forms) = secrets.size();
    let mut searched =
        Searched { requests: visit.requests, secrets: count, forms, ..Searched::default() };
    let lines = std::fs::read(log).unwrap();
    assert!(lines.len() > 1_000, "the log was written");
    searched.look("log", &lines, secrets);
    for entry in std::fs::read_dir(folder.join("data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != KEY_FILE {
            searched.look(&name, &std::fs::read(&path).unwrap(), secrets);
        }
    }
    for (asked, page) in &visit.pages {
        searched.look(&format!("answer to {asked}"), page, secrets);
    }
    searched
}

/// What the command line says when it is given secrets.
fn commands(folder: &Path, key: &str, token: &str) -> Vec<Vec<u8>> {
    let table = folder.join("handlers.json");
    std::fs::write(&table, r#"[{ "class": "A", "method": "b", "pattern": "pay" }]"#).unwrap();
    let url = format!("/pay/x?$4DSID={token}");
    let half = format!("{key},{key}zz");
    let run = |words: &[&str], keys: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(words)
            .current_dir(folder)
            .env_clear()
            .env("CALLGATE_KEYS", keys)
            .output()
            .unwrap();
        [output.stdout, output.stderr].concat()
    };
    vec![
        run(&["settings"], key),
        run(&["settings"], &half),
        run(&["check"], key),
        run(&["check"], &half),
        run(&["check", "--format", "json"], &half),
        run(&["serve"], &half),
        run(&["explain", "GET", &url], key),
        run(&["explain", "GET", &url, "--format", "json"], key),
    ]
}
