//! Tables that change under load, a third of them broken (docs/SECURITY.md C-11).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::real;
use crate::support::run;
use crate::support::size;

const CONNECTIONS: usize = 10;
/// Between two requests on one connection: a thousand requests a second in all.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a table may take to be noticed. The watcher needs half a second; a busy machine more.
const NOTICE: Duration = Duration::from_secs(20);
/// How much the resident memory may grow once everything has happened a few times.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// What those who ask and the one who changes the table know of each other. Each table has a
/// number, which is what its only row answers.
#[derive(Default)]
struct World {
    /// The newest good table that was written.
    offered: AtomicUsize,
    /// The newest table of which `/readyz` has said that it serves.
    confirmed: AtomicUsize,
    over: AtomicBool,
    answers: AtomicUsize,
}

/// Whether the table of this number can be used; every third cannot.
fn is_good(number: usize) -> bool {
    !number.is_multiple_of(3)
}

/// A table in the shape of this number; of five kinds of broken ones, one is no file at all.
fn table(number: usize) -> Option<String> {
    let row = format!(
        r#"{{ "class": "Mark", "method": "m{number}", "pattern": "which", "id": {number} }}"#
    );
    Some(match number / 3 % 5 {
        _ if is_good(number) => format!("[\n  {row}\n]\n"),
        0 => format!("[\n  {row} {row}\n]\n"),
        1 => format!("[\n  {}", &row[..row.len() / 2]),
        2 => return None,
        3 => format!("[\n  {}\n]\n", row.replace("\"id\"", "\"class\": \"Mark\", \"id\"")),
        _ => format!(
            "[\n  {}\n]\n",
            row.replace("\"pattern\": \"which\"", "\"regexPattern\": \"(\"")
        ),
    })
}

/// Puts a table into its place, in one of the ways in which tables arrive.
fn lay(folder: &Path, number: usize, server: &Server) {
    let file = folder.join("handlers.json");
    let Some(text) = table(number) else {
        fs::remove_file(&file).unwrap();
        if number.is_multiple_of(2) {
            server.hang_up();
        }
        return;
    };
    let new = folder.join("new");
    match number % 4 {
        0 => fs::write(&file, text).unwrap(),
        1 => {
            fs::write(&new, text).unwrap();
            fs::rename(&new, &file).unwrap();
        }
        2 => {
            let version = folder.join(format!("v{}", number % 8));
            // A file of its own: the one of this name may be what the link leads to.
            let _ = fs::remove_file(&version);
            fs::write(&version, text).unwrap();
            symlink(version.file_name().unwrap(), &new).unwrap();
            fs::rename(&new, &file).unwrap();
        }
        _ => {
            fs::write(&file, text).unwrap();
            server.hang_up();
        }
    }
}

#[test]
fn tables_that_change_under_load_answer_nothing_wrong() {
    run(reload_under_load());
}

async fn reload_under_load() {
    let tables = size(48, 1_000);
    let folder = folder();
    let (server, log) = start(folder.path());
    let world = Arc::new(World { offered: 1.into(), confirmed: 1.into(), ..World::default() });
    let mut asking = JoinSet::new();
    for connection in server.connections(CONNECTIONS).await {
        asking.spawn(ask(connection, Arc::clone(&world)));
    }
    let watch = Stopwatch::start();
    let mut inside = inside(&server).await;
    let mut early = None;
    let mut generation = 1;
    for number in 2..=tables {
        if is_good(number) {
            generation += 1;
            world.offered.store(number, Ordering::SeqCst);
        }
        lay(folder.path(), number, &server);
        noticed(&mut inside, number, generation).await;
        if is_good(number) {
            world.confirmed.store(number, Ordering::SeqCst);
        }
        if number == tables / 4 {
            early = Some((server.memory(), server.threads_and_files()));
        }
    }
    world.over.store(true, Ordering::SeqCst);
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let elapsed = watch.elapsed().as_secs_f64();
    let (early, late) = (early.unwrap(), (server.memory(), server.threads_and_files()));
    let answers = world.answers.load(Ordering::SeqCst);
    figure(
        "reload under load",
        format!(
            "{} reloads ({} taken, {} refused) in {elapsed:.0} s, {answers} answers ({:.0}/s), \
             wrong 0, 5xx 0; RSS MiB after a quarter {:.1}, at the end {:.1}; (threads, files) \
             {:?}, {:?}",
            tables - 1,
            generation - 1,
            tables - generation,
            real(answers) / elapsed,
            real(early.0.resident) / 1024.0,
            real(late.0.resident) / 1024.0,
            early.1,
            late.1,
        ),
    );
    assert!(late.0.resident < early.0.resident + GROWTH_KIB_MAX, "{early:?} {late:?}");
    assert!(late.1.0 <= early.1.0 && late.1.1 <= early.1.1 + 2, "{early:?} {late:?}");
    check_log(&log, generation - 1);
}

fn start(folder: &Path) -> (Server, PathBuf) {
    let (file, log) = (folder.join("handlers.json"), folder.join("log"));
    fs::write(&file, table(1).unwrap()).unwrap();
    let plan = ServerPlan::probe("memory:").word("marks").log(&log);
    let plan = plan.set("INTERNAL", "127.0.0.1:0").set("LOG_LEVEL", "info");
    (plan.set("HANDLERS", &file.display().to_string()).start(), log)
}

/// A connection that is kept, so that those of the test do not count as the server's open files.
async fn inside(server: &Server) -> Connection {
    Connection::open(server.internal.unwrap()).await.unwrap()
}

/// Asks for as long as the world goes on. An answer may come from the table that had been
/// confirmed when it was asked for, or from a later one that was good.
async fn ask(mut connection: Connection, world: Arc<World>) {
    let bytes = Ask::get("/which").bytes();
    while !world.over.load(Ordering::SeqCst) {
        let confirmed = world.confirmed.load(Ordering::SeqCst);
        let reply = connection.ask_bytes(&bytes, false).await.unwrap().good();
        let number: usize = reply.text().trim_start_matches('m').parse().unwrap();
        let offered = world.offered.load(Ordering::SeqCst);
        assert!(is_good(number), "an answer of the broken table {number}");
        assert!(
            (confirmed..=offered).contains(&number),
            "an answer of {number}, asked after {confirmed} served and before {offered} did"
        );
        world.answers.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the server has taken or refused a table, and checks what it says of it.
async fn noticed(inside: &mut Connection, number: usize, generation: usize) {
    let watch = Stopwatch::start();
    loop {
        let ready = inside.ask(&Ask::get("/readyz")).await.unwrap().good().json();
        assert_eq!(ready["ready"], true, "an old table serves, too: {ready}");
        let table = &ready["table"];
        let refused = &table["refused"];
        if table["generation"] == generation && refused.is_null() == is_good(number) {
            // How many there are; what they are is in the log.
            let problems = refused["problems"].as_u64().unwrap_or(0);
            assert_eq!(problems > 0, !is_good(number), "{ready}");
            return;
        }
        assert!(watch.elapsed() < NOTICE, "table {number} went unnoticed: {ready}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each generation was logged once and in order, and no bad table without its place.
fn check_log(log: &Path, taken: usize) {
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |event: &'static str| lines.iter().filter(move |line| line["event"] == event);
    let generations: Vec<u64> =
        of("table.reloaded").map(|line| line["generation"].as_u64().unwrap()).collect();
    assert!(generations.iter().copied().eq((2..).take(taken)), "{generations:?}");
    for refused in of("table.refused") {
        let what = refused["message"].as_str().unwrap();
        let has_place = refused["line"].is_u64() && refused["column"].is_u64();
        assert!(has_place || what.contains("cannot be read: No such file"), "{refused}");
    }
}

#[test]
fn without_auto_reload_a_table_waits_for_sighup() {
    run(async {
        let folder = folder();
        let file = folder.path().join("handlers.json");
        fs::write(&file, table(1).unwrap()).unwrap();
        let plan = ServerPlan::probe("memory:").word("marks").set("INTERNAL", "127.0.0.1:0");
        let plan = plan.set("RELOAD", "off").set("HANDLERS", &file.display().to_string());
        let server = plan.start();
        fs::write(&file, table(2).unwrap()).unwrap();
        // As long as the watcher would need several times over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(server.inside("/readyz").await["table"]["generation"], 1);
        server.hang_up();
        noticed(&mut inside(&server).await, 2, 2).await;
    });
}
