//! The same search where three nodes share a database: in what it stores and dumps, in its own log
//! with every statement and parameter, and in the logs of the nodes.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use super::AIMS;
use super::Searched;
use super::flows::Visit;
use super::operator;
use super::secrets::Secrets;
use super::stop;
use crate::support::Ask;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::services::postgres;
use crate::support::services::redis;

/// The key of all nodes.
const KEY: &str = "a3f15c7e90b2d4486f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";
/// What callgate signs in with; the database lets everybody in who comes from this machine.
const PASSWORD: &str = "5d1c0a7be94f3826d07a1b4c9e5f8263719a0b3c4d5e6f70812a3b4c5d6e7f80";
/// How the three nodes log.
const LOGS: [(&str, &str); 3] = [("json", "trace"), ("text", "debug"), ("text", "trace")];

#[test]
fn no_secret_is_in_postgres_or_a_log() {
    run(async {
        if postgres::is_installed() {
            let database = Postgres::start();
            search("PostgreSQL", &database.url(), || database.artefacts()).await;
        }
    });
}

#[test]
fn no_secret_is_in_redis_or_a_log() {
    run(async {
        if redis::is_installed() {
            let options = "--appendonly yes --appendfsync always --rdbcompression no \
                           --loglevel debug --slowlog-log-slower-than 0 --slowlog-max-len 100000";
            let database = redis::Redis::start(options).await;
            search("Redis", &database.url(), || in_redis(&database)).await;
        }
    });
}

/// What was written somewhere, and where.
type Artefacts = Vec<(String, Vec<u8>)>;

/// All flows at each of three nodes and across them, and the search. Then a token is planted, in a
/// session and in a log, which the same search must find.
async fn search(name: &str, url: &str, artefacts: impl Fn() -> Artefacts) {
    let folder = folder();
    let logs: Vec<PathBuf> = (0..3).map(|at| folder.path().join(format!("log{at}"))).collect();
    let mut nodes: Vec<Server> = LOGS
        .into_iter()
        .zip(&logs)
        .map(|((format, level), log)| node(url).format(format, level).log(log).start())
        .collect();
    let mut visits = Vec::new();
    for node in &nodes {
        let mut visit = Visit::begin(node).await;
        visit.everything(node).await;
        for aim in AIMS {
            assert!(visit.met.contains(*aim), "no {aim} among {:?}", visit.met);
        }
        operator::operate(node, &mut visit, KEY, true).await;
        visits.push(visit);
    }
    let token = visits[0].mint().await;
    for visit in &mut visits[1..] {
        visit.stranger(Ask::get(&format!("/share?$4DSID={token}")).browser()).await;
    }
    let mut secrets = Secrets::default();
    secrets.add_key(KEY);
    secrets.add_key(PASSWORD);
    let (mut requests, mut found) = (0, artefacts());
    for visit in &mut visits {
        requests += visit.requests;
        secrets.merge(std::mem::take(&mut visit.secrets));
        found.append(&mut visit.pages);
    }
    found.extend(logs.iter().map(|log| ("log".to_owned(), fs::read(log).unwrap())));
    let searched = look(&found, &secrets);
    let (count, forms) = secrets.size();
    figure(
        &format!("secrets canary on {name}, three nodes"),
        format!(
            "{requests} requests, {count} secrets searched in {forms} forms in {} artefacts of {} \
             KiB: {} hits",
            searched.artefacts,
            searched.bytes / 1024,
            searched.hits.len()
        ),
    );
    assert!(searched.hits.is_empty(), "{:#?}", searched.hits);

    let mut visit = Visit::begin(&nodes[0]).await;
    let planted = visit.mint().await;
    visit.plain(Ask::get(&format!("/control/leak?text={planted}"))).await;
    visit.plain(Ask::get(&format!("/write?key=a&value={planted}"))).await;
    for node in &mut nodes {
        stop(node);
    }
    let mut found = artefacts();
    let places: Vec<String> = found.iter().map(|(place, _)| place.clone()).collect();
    found.push(("log".to_owned(), fs::read(&logs[0]).unwrap()));
    let hits = look(&found, &visit.secrets).hits;
    for place in places.iter().map(String::as_str).chain(["log"]) {
        let found = hits.iter().any(|hit| hit.starts_with(place));
        assert!(found || is_silent(place), "{place} is not in {hits:#?}");
    }
}

/// Whether nothing can be planted there: the server does not log what it is asked.
fn is_silent(place: &str) -> bool {
    place == "log of the server" || place.ends_with(".manifest") || place.ends_with(".base.rdb")
}

fn look(found: &Artefacts, secrets: &Secrets) -> Searched {
    let mut searched = Searched::default();
    for (name, bytes) in found {
        searched.look(name, bytes, secrets);
    }
    searched
}

fn node(url: &str) -> ServerPlan {
    ServerPlan::probe(url).word("faulty").set("INTERNAL", "127.0.0.1:0").set("KEYS", KEY)
}

impl ServerPlan {
    fn format(self, format: &str, level: &str) -> Self {
        self.set("LOG_FORMAT", format).set("LOG_LEVEL", level)
    }
}

/// What a Redis has on its disk, and what it says it was asked.
fn in_redis(server: &redis::Redis) -> Artefacts {
    server.say(&["SAVE"]);
    let folder = server.told(&["CONFIG", "GET", "dir"]);
    let folder = Path::new(folder.split_once(' ').unwrap().1);
    let mut found = vec![
        ("slow log".to_owned(), server.told(&["SLOWLOG", "GET", "-1"]).into_bytes()),
        ("log of the server".to_owned(), fs::read(folder.join("log")).unwrap()),
        ("dump.rdb".to_owned(), fs::read(folder.join("dump.rdb")).unwrap()),
    ];
    for file in fs::read_dir(folder.join("appendonlydir")).unwrap() {
        let file = file.unwrap().path();
        found.push((file.display().to_string(), fs::read(&file).unwrap()));
    }
    found
}

/// A PostgreSQL that logs all it is asked.
struct Postgres(postgres::Server);

impl Postgres {
    fn start() -> Self {
        let all = ["log_statement=all", "log_parameter_max_length=-1", "log_min_messages=info"];
        Self(postgres::Server::start_with(&all))
    }

    fn url(&self) -> String {
        let (name, port) = (postgres::NAME, self.0.port());
        format!("postgres://{name}:{PASSWORD}@127.0.0.1:{port}/{name}")
    }

    /// A dump, and what the server has logged, both as they are and with their bytes decoded.
    fn artefacts(&self) -> Artefacts {
        let log = fs::read(self.0.data().with_file_name("log")).unwrap();
        let dump = self.dump();
        assert!(dump.len() > 10_000 && log.len() > 100_000, "there is something to search");
        let decoded = |text: &[u8]| [text.to_vec(), unhexed(text)].concat();
        vec![("dump".to_owned(), decoded(&dump)), ("statements".to_owned(), decoded(&log))]
    }

    /// A dump, or all rows where the program that makes dumps is missing.
    fn dump(&self) -> Vec<u8> {
        let output = Command::new("pg_dump")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.0.port().to_string()])
            .arg(postgres::NAME)
            .output();
        let Ok(output) = output else {
            let rows = |table: &str| self.0.sql(&format!("COPY callgate.{table} TO STDOUT"));
            return [rows("session"), rows("token")].concat().into_bytes();
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// The bytes that a text writes as `\x00ff…`, each with a line break behind it.
fn unhexed(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|two| two == b"\\x") {
        rest = &rest[at + 2..];
        let digits: Vec<u32> = rest.iter().map_while(digit).collect();
        rest = &rest[digits.len()..];
        bytes.extend(digits.chunks_exact(2).map(|two| u8::try_from(two[0] * 16 + two[1]).unwrap()));
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn bytes_in_a_dump_are_read() {
    assert_eq!(unhexed(br"a \x616263 b \x7A;\xyz"), b"abc\nz\n\n");
}
