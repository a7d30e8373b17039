//! Class files that try to spin, hog, break out or break down (docs/SECURITY.md T50): each ends on
//! its budget, is told in the log, and hurts nobody else. The files are in `hostile/`; the first
//! line of each says what it must come to. The engine knows no place of its own for an empty loop:
//! it is told by the line before.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::Gate;
use callgate::IncomingMessage;
use callgate::Session;
use callgate::Settings;
use callgate::Singleton;
use callgate::backend::Budgets;
use callgate::backend::script::ClassProblem;
use callgate::backend::script::Classes;
use callgate::backend::script::Environment;
use callgate::backend::script::Sources;
use callgate::base::clock::Stopwatch;
use callgate::gate::Client;
use callgate::http::Handlers as _;
use callgate::http::Missing;
use callgate::settings::StoreUrl;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::figure;
use crate::support::run;
use crate::support::size;

/// The class that is asked all the while, and must not notice.
const NEIGHBOUR: &str = "export default class Neighbour { async fine() { return 1; } }";

/// One hostile file.
struct Case {
    name: String,
    text: String,
    /// What it must come to, and the line that must be named.
    comes_to: String,
    at: Option<u64>,
}

#[test]
fn no_hostile_class_outlives_its_budget_or_hurts_another() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::WARN)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    run(async move {
        let limits = limits();
        let (refused, running): (Vec<_>, Vec<_>) =
            cases().into_iter().partition(|case| matches!(&*case.comes_to, "refused" | "no class"));
        let mut failures: Vec<String> =
            refused.iter().filter_map(|case| refuses(case, &limits).err()).collect();
        let suite = Suite::open(&running, limits, log).await;
        let idle = suite.idle().await;
        let (busy, slowest, more) = suite.attack(&running).await;
        failures.extend(more);
        figure(
            "hostile classes",
            format!(
                "{} refused, {} ended, the slowest at {:.2} x its budget",
                refused.len(),
                running.len(),
                slowest
            ),
        );
        for ((name, idle), (_, busy)) in idle.iter().zip(&busy) {
            let (before, after) = (p99(idle), p99(busy));
            let (asked, times) = (busy.len(), after / before);
            figure(
                &format!("p99 of {name} beside hostile classes"),
                format!("{before:.2} ms idle, {after:.2} ms busy ({times:.2} x), {asked} asked"),
            );
            // At the small size other suites run beside this one, and samples are few.
            let most = size(before * 4.0 + 25.0, before * 2.0);
            if after > most {
                failures.push(format!("{name}: p99 {after:.2} ms, {before:.2} ms before"));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    });
}

fn limits() -> Budgets {
    let default = Budgets::default();
    let small = Budgets {
        cpu: Duration::from_millis(100),
        wall: Duration::from_secs(1),
        heap_bytes: 8 << 20,
        ..default.clone()
    };
    size(small, default)
}

/// Every hostile file, in the order of names.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heavy/hostile");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let cases: Vec<Case> = files.iter().map(|file| Case::read(file)).collect();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    cases
}

impl Case {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let first = text.lines().next().unwrap().strip_prefix("// expects: ").unwrap().to_owned();
        let (comes_to, at) = match first.split_once(" at ") {
            Some((comes_to, at)) => (comes_to.to_owned(), Some(at.parse().unwrap())),
            None => (first, None),
        };
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, text, comes_to, at }
    }
}

fn load(
    files: &[(String, &str)],
    wanted: &[&str],
    limits: &Budgets,
) -> Result<Classes, Vec<ClassProblem>> {
    let sources = Sources::of_texts(files.iter().map(|(path, text)| (path.as_str(), *text)));
    let wanted: BTreeSet<String> = wanted.iter().map(|class| (*class).to_owned()).collect();
    let environment = Environment { limits: limits.clone(), ..Environment::new(Handle::current()) };
    Classes::load(&sources, &wanted, &environment, None)
}

/// Loading it fails in time, with its place.
fn refuses(case: &Case, limits: &Budgets) -> Result<(), String> {
    let name = &case.name;
    let watch = Stopwatch::start();
    let files = [(format!("{name}.js"), case.text.as_str())];
    let loaded = load(&files, &[name], limits);
    let elapsed = watch.elapsed();
    if elapsed > limits.wall * 2 {
        return Err(format!("{name} took {elapsed:?} to load"));
    }
    let is_here = |problem: &ClassProblem| {
        problem.file == format!("classes/{name}.js")
            && case.at.is_none_or(|line| u64::from(problem.line) == line)
    };
    match loaded {
        Ok(classes) if case.comes_to == "no class" => match classes.find(name, "run") {
            Err(Missing::Singleton) => Ok(()),
            _ => Err(format!("{name} was taken for a class")),
        },
        Err(problems) if problems.iter().any(is_here) => Ok(()),
        other => Err(format!("{name}: {other:?}")),
    }
}

/// All running cases in one gate, with neighbours that are asked meanwhile.
struct Suite {
    gate: Gate,
    limits: Budgets,
    log: Log,
}

/// Milliseconds that answers took, by who was asked.
type Latencies = Vec<(&'static str, Vec<f64>)>;

impl Suite {
    async fn open(cases: &[Case], limits: Budgets, log: Log) -> Self {
        let mut files = vec![("Neighbour.js".to_owned(), NEIGHBOUR)];
        files.extend(cases.iter().map(|case| (format!("{}.js", case.name), case.text.as_str())));
        let mut wanted = vec!["Neighbour"];
        wanted.extend(cases.iter().map(|case| case.name.as_str()));
        let classes = Arc::new(load(&files, &wanted, &limits).unwrap());
        let native = Singleton::new("Native", ()).method("fine", async |_, _, _| json!(1));
        let settings =
            Settings { store: StoreUrl::Memory, rate_limits: false, ..Settings::default() };
        let mut builder = Gate::builder(settings).singleton(native);
        let mut rows = vec![json!({"pattern": "native", "class": "Native", "method": "fine"})];
        for class in wanted {
            let function = if class == "Neighbour" { "fine" } else { "run" };
            rows.push(json!({"pattern": class, "class": class, "method": function}));
            let handler = classes.find(class, function).unwrap();
            let call = move |_, request: IncomingMessage, session: Session| {
                let permit = handler.reserve().unwrap();
                handler.call(request, session, permit)
            };
            builder = builder.singleton(Singleton::new(class, ()).method(function, call));
        }
        let rows = Value::from(rows);
        let timed = rows.as_array().unwrap().iter().cloned().map(|mut row| {
            row["limits"] = json!({"timeoutMs": limits.wall.as_millis()});
            row
        });
        let table = Value::from(timed.collect::<Vec<_>>()).to_string();
        let gate = builder.table(table).open().await.unwrap();
        Self { gate, limits, log }
    }

    /// How long the neighbours take when nobody attacks.
    async fn idle(&self) -> Latencies {
        let over = Arc::new(AtomicBool::new(false));
        let probing = self.probe(&over);
        tokio::time::sleep(size(Duration::from_secs(2), Duration::from_secs(20))).await;
        over.store(true, Ordering::Relaxed);
        collect(probing).await
    }

    /// Runs every case, at full size twice, and asks the neighbours all the while: how long they took, how long
    /// the slowest case took as a part of its budget, and which cases did not end as they must.
    async fn attack(&self, cases: &[Case]) -> (Latencies, f64, Vec<String>) {
        let over = Arc::new(AtomicBool::new(false));
        let probing = self.probe(&over);
        let (mut slowest, mut failures) = (0.0_f64, Vec::new());
        for case in cases.iter().cycle().take(cases.len() * size(1, 2)) {
            match self.ends(case).await {
                Ok(share) => slowest = slowest.max(share),
                Err(why) => failures.push(format!("{}: {why}", case.name)),
            }
        }
        over.store(true, Ordering::Relaxed);
        (collect(probing).await, slowest, failures)
    }

    /// Runs one case: it ends as it must, in time, and is told in the log.
    async fn ends(&self, case: &Case) -> Result<f64, String> {
        let told_before = self.log.lines().len();
        let watch = Stopwatch::start();
        let answer = self.gate.client().get(&format!("/{}", case.name)).send().await;
        let share = watch.elapsed().as_secs_f64() / self.limits.wall.as_secs_f64();
        if share > 2.0 {
            return Err(format!("took {share:.2} x its budget"));
        }
        match (&*case.comes_to, answer.status) {
            ("answer" | "any", 200) | ("any", 500) => Ok(share),
            ("answer", _) | (_, 200) => Err(format!("{} {}", answer.status, answer.text())),
            (_, 500) => self.told(case, told_before).await.map(|()| share),
            (_, status) => Err(format!("{status}")),
        }
    }

    /// Waits for the line in the log that names the class and the place.
    async fn told(&self, case: &Case, before: usize) -> Result<(), String> {
        let event = format!("script.{}", case.comes_to);
        // The engine looks at its budget every few thousand steps. When each of them is dear, the
        // time of the request is up before, and who waited for it says so.
        let is_event = |line: &Value| {
            line["event"] == event
                || (case.comes_to == "stopped" && line["event"] == "script.abandoned")
        };
        let (file, watch) = (format!("classes/{}.js", case.name), Stopwatch::start());
        let is_it = |line: &Value| {
            is_event(line)
                && line["class"] == case.name
                && line["method"] == "run"
                && line["file"] == file
                && line["line"].is_u64()
                && (line["event"] != event || case.at.is_none_or(|at| line["line"] == at))
        };
        while watch.elapsed() < self.limits.wall {
            if self.log.lines().iter().skip(before).any(is_it) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        let lines = self.log.lines().split_off(before);
        Err(format!("no {event} at {:?} in {lines:#?}", case.at))
    }

    fn probe(&self, over: &Arc<AtomicBool>) -> [(&'static str, JoinHandle<Vec<f64>>); 2] {
        let ask = |name: &'static str, target: &'static str| {
            let (client, over) = (self.gate.client(), Arc::clone(over));
            (name, tokio::spawn(ask_on(client, target, over)))
        };
        [ask("a native handler", "/native"), ask("a class", "/Neighbour")]
    }
}

/// Asks for the same again and again, a hundred times a second.
async fn ask_on(client: Client, target: &'static str, over: Arc<AtomicBool>) -> Vec<f64> {
    let mut taken = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(3));
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        let watch = Stopwatch::start();
        let answer = client.get(target).send().await;
        taken.push(watch.elapsed().as_secs_f64() * 1e3);
        assert_eq!((answer.status, answer.json()), (200, json!({"result": 1})));
    }
    taken
}

async fn collect(probing: [(&'static str, JoinHandle<Vec<f64>>); 2]) -> Latencies {
    let mut latencies = Latencies::new();
    for (name, asking) in probing {
        latencies.push((name, asking.await.unwrap()));
    }
    latencies
}

fn p99(taken: &[f64]) -> f64 {
    let mut sorted = taken.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() * 99 / 100]
}

/// Everything that was logged, as lines of JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
