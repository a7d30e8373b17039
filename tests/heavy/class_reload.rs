//! Tables and class files that change under load, a third of them broken (docs/SECURITY.md C-11).

use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
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
/// How long a change may take to be noticed. The watcher needs half a second; a busy machine more.
const NOTICE: Duration = Duration::from_secs(20);
/// How much the resident memory may grow once everything has happened a few times.
const GROWTH_KIB_MAX: u64 = 8 * 1024;
/// How many tables one class file has a function for.
const TABLES_AHEAD: usize = 8;

/// One edition of the three files; it is what their only row answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edition {
    table: usize,
    class: usize,
    library: usize,
}

/// A file of an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Table,
    Class,
    Library,
}

/// What those who ask and the one who changes the files know of each other.
#[derive(Default)]
struct World {
    /// Every good edition that was laid, in order.
    offered: Mutex<Vec<Edition>>,
    /// How many of them `/readyz` has said to serve or to have served.
    confirmed: AtomicUsize,
    over: AtomicBool,
    answers: AtomicUsize,
}

/// The files below a link, so that all of them can be exchanged at once.
struct Site {
    root: PathBuf,
    edition: Edition,
    versions: usize,
    /// The file that is broken now.
    broken: Option<Part>,
}

impl Part {
    const ALL: [Self; 3] = [Self::Table, Self::Class, Self::Library];

    fn path(self) -> &'static str {
        match self {
            Self::Table => "handlers.json",
            Self::Class => "classes/Edition.js",
            Self::Library => "classes/lib/number.js",
        }
    }
}

impl Edition {
    fn next(mut self, part: Part) -> Self {
        match part {
            Part::Table => self.table += 1,
            Part::Class => self.class += 1,
            Part::Library => self.library += 1,
        }
        self
    }

    fn text(self, part: Part) -> String {
        let Self { table, class, library } = self;
        match part {
            Part::Table => format!(
                "[\n  {{ \"class\": \"Edition\", \"method\": \"t{table}\", \"pattern\": \"which\" }}\n]\n"
            ),
            Part::Library => format!("export const number = {library};\n"),
            Part::Class => {
                let function = |n: usize| {
                    format!("  t{n}() {{ return `{n} ${{this.class}} ${{number}}`; }}\n")
                };
                let functions: String = (table..table + TABLES_AHEAD).map(function).collect();
                format!(
                    "import {{ number }} from \"./lib/number.js\";\n\nexport default class Edition \
                     {{\n  class = {class};\n{functions}}}\n"
                )
            }
        }
    }

    /// One of the files in a state in which it cannot be used; `None` is no file at all.
    fn broken(self, how: usize) -> (Part, Option<String>) {
        let class = self.next(Part::Class).text(Part::Class);
        let table = self.next(Part::Table).text(Part::Table);
        match how {
            0 => (Part::Class, Some(class.replace("class Edition", "clas Edition"))),
            1 => (
                Part::Class,
                Some(class.replace("  class =", "  #made = this.no.such;\n  class =")),
            ),
            2 => (Part::Class, Some(class.replace("lib/number.js", "lib/nowhere.js"))),
            3 => (Part::Class, Some(class[..class.len() / 2].to_owned())),
            4 => (Part::Table, Some(table.replace("which", "which\" \""))),
            5 => (Part::Class, Some(String::new())),
            6 => (Part::Library, Some("export const number = ;\n".to_owned())),
            7 => (Part::Class, None),
            8 => (Part::Library, None),
            _ => (Part::Table, Some(table.replace("Edition", "Edition\", \"class\": \"Mark"))),
        }
    }
}

/// As [`Edition::broken`] numbers them.
const BROKEN_KINDS: usize = 10;

/// As the files answer.
impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.table, self.class, self.library)
    }
}

impl Site {
    fn new(root: &Path) -> Self {
        let edition = Edition { table: 1, class: 1, library: 1 };
        let mut site = Self { root: root.to_owned(), edition, versions: 0, broken: None };
        site.exchange();
        site
    }

    fn live(&self, part: Part) -> PathBuf {
        self.root.join("live").join(part.path())
    }

    /// Lays a fresh folder and leads the link to it, as a deployment does.
    fn exchange(&mut self) {
        self.versions += 1;
        let version = self.root.join(format!("v{}", self.versions));
        fs::create_dir_all(version.join("classes/lib")).unwrap();
        for part in Part::ALL {
            fs::write(version.join(part.path()), self.edition.text(part)).unwrap();
        }
        let new = self.root.join("new");
        symlink(version.file_name().unwrap(), &new).unwrap();
        fs::rename(&new, self.root.join("live")).unwrap();
        let old = self.root.join(format!("v{}", self.versions - 1));
        // The first has none before it.
        let _ = fs::remove_dir_all(old);
        self.broken = None;
    }

    /// Puts one file into its place, in one of the two ways in which editors do.
    fn lay(&self, part: Part, text: &str, in_place: bool) {
        let (path, new) = (self.live(part), self.root.join("new"));
        if in_place {
            fs::write(path, text).unwrap();
        } else {
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }
    }

    /// The change of this number: a good edition, which is offered before it lies there, or a broken
    /// file. Says which of the two.
    fn change(&mut self, number: usize, offered: &Mutex<Vec<Edition>>) -> bool {
        let in_place = number.is_multiple_of(2);
        if number.is_multiple_of(3) {
            let (part, text) = self.edition.broken(number / 3 % BROKEN_KINDS);
            match text {
                Some(text) => self.lay(part, &text, in_place),
                None => fs::remove_file(self.live(part)).unwrap(),
            }
            self.broken = Some(part);
            return false;
        }
        // Each class file has functions for some tables to come; then all is exchanged.
        if number.is_multiple_of(4) || number % 12 == 1 {
            self.edition = Part::ALL.into_iter().fold(self.edition, Edition::next);
            offered.lock().unwrap().push(self.edition);
            self.exchange();
            return true;
        }
        let part = self.broken.take().unwrap_or(Part::ALL[number / 2 % 3]);
        self.edition = self.edition.next(part);
        offered.lock().unwrap().push(self.edition);
        self.lay(part, &self.edition.text(part), in_place);
        true
    }
}

#[test]
fn tables_and_classes_that_change_under_load_answer_nothing_wrong() {
    run(reload_under_load());
}

async fn reload_under_load() {
    let changes = size(48, 1_000);
    let folder = folder();
    let mut site = Site::new(folder.path());
    let (server, log) = start(&site);
    let world = Arc::new(World::default());
    world.offered.lock().unwrap().push(site.edition);
    let mut asking = JoinSet::new();
    for connection in server.connections(CONNECTIONS).await {
        asking.spawn(ask(connection, Arc::clone(&world)));
    }
    let watch = Stopwatch::start();
    let mut inside = Connection::open(server.internal.unwrap()).await.unwrap();
    let (mut early, mut taken) = (None, 0);
    for number in 2..=changes {
        taken += usize::from(site.change(number, &world.offered));
        if number.is_multiple_of(5) {
            server.hang_up();
        }
        noticed(&mut inside, &site, taken + 1).await;
        world.confirmed.store(taken, Ordering::SeqCst);
        if number == changes / 4 {
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
        "reload of tables and classes under load",
        format!(
            "{} changes ({taken} taken, {} refused) in {elapsed:.0} s, {answers} answers \
             ({:.0}/s), wrong 0, 5xx 0; RSS MiB after a quarter {:.1}, at the end {:.1}, peak \
             {:.1}; (threads, files) {:?}, {:?}",
            changes - 1,
            changes - 1 - taken,
            real(answers) / elapsed,
            real(early.0.resident) / 1024.0,
            real(late.0.resident) / 1024.0,
            real(late.0.peak) / 1024.0,
            early.1,
            late.1,
        ),
    );
    assert!(late.0.resident < early.0.resident + GROWTH_KIB_MAX, "{early:?} {late:?}");
    // The isolate of the edition before may be just ending.
    assert!(late.1.0 <= early.1.0 + 1 && late.1.1 <= early.1.1 + 2, "{early:?} {late:?}");
    check_log(&log, taken);
}

fn start(site: &Site) -> (Server, PathBuf) {
    let log = site.root.join("log");
    let plan = ServerPlan::probe("memory:").word("marks").log(&log);
    let plan = plan.set("INTERNAL", "127.0.0.1:0").set("LOG_LEVEL", "info");
    (plan.set("HANDLERS", &site.live(Part::Table).display().to_string()).start(), log)
}

/// Asks for as long as the world goes on. An answer may come from the edition that had been
/// confirmed when it was asked for, or from a later one that lay there whole.
async fn ask(mut connection: Connection, world: Arc<World>) {
    let bytes = Ask::get("/which").bytes();
    while !world.over.load(Ordering::SeqCst) {
        let confirmed = world.confirmed.load(Ordering::SeqCst);
        let reply = connection.ask_bytes(&bytes, false).await.unwrap().good();
        let said = reply.result().as_str().unwrap_or_default().to_owned();
        let later = world.offered.lock().unwrap()[confirmed..].to_vec();
        assert!(
            later.iter().any(|edition| edition.to_string() == said),
            "an answer of {said:?}, asked when {confirmed} served; good since then: {later:?}"
        );
        world.answers.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the server has taken or refused what lies there, and checks what it says of it.
async fn noticed(inside: &mut Connection, site: &Site, generation: usize) {
    let watch = Stopwatch::start();
    loop {
        let ready = inside.ask(&Ask::get("/readyz")).await.unwrap().good().json();
        assert_eq!(ready["ready"], true, "the old plan serves, too: {ready}");
        let table = &ready["table"];
        let refused = &table["refused"];
        if table["generation"] == generation && refused.is_null() == site.broken.is_none() {
            return;
        }
        assert!(watch.elapsed() < NOTICE, "{:?} {:?}: {ready}", site.edition, site.broken);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each generation was logged once and in order, and nothing was refused without its place.
fn check_log(log: &Path, taken: usize) {
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |event: &'static str| lines.iter().filter(move |line| line["event"] == event);
    let generations: Vec<u64> =
        of("table.reloaded").map(|line| line["generation"].as_u64().unwrap()).collect();
    assert!(generations.iter().copied().eq((2..).take(taken)), "{generations:?}");
    let (tables, classes) = (of("table.refused").count(), of("class.refused").count());
    assert!(tables > 0 && classes > 0, "{tables} {classes}");
    for refused in of("table.refused").chain(of("class.refused")) {
        assert!(refused["line"].is_u64() && refused["column"].is_u64(), "{refused}");
    }
}
