//! What isolates leave behind when they are used long and replaced often, and what a call costs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use callgate::Gate;
use callgate::IncomingMessage;
use callgate::Session;
use callgate::Settings;
use callgate::Singleton;
use callgate::backend::script::Classes;
use callgate::backend::script::Environment;
use callgate::backend::script::Sources;
use callgate::base::clock::Stopwatch;
use callgate::gate::Client;
use callgate::http::Handlers as _;
use callgate::settings::StoreUrl;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::support::figure;
use crate::support::median;
use crate::support::real;
use crate::support::run;
use crate::support::size;

/// A class that does a little of everything: waits, timers, closures, garbage in circles.
const BUSY: &str = r#"
    import { OutgoingMessage } from "callgate";
    export default class Busy {
        calls = 0;
        async run(request, session) {
            this.calls += 1;
            const circle = { verb: request.verb };
            circle.circle = circle;
            await new Promise((done) => setTimeout(done, 0));
            const texts = await Promise.all([1, 2, 3].map(async (each) => `${each}`.repeat(100)));
            return new OutgoingMessage().setBody(`${texts.join("").length}`);
        }
        trivial(request, session) {
            return session.storage.a ?? "nothing";
        }
    }"#;

fn load(text: &str, class: &str, before: Option<&Classes>) -> Classes {
    let sources = Sources::of_texts([(format!("{class}.js").as_str(), text)]);
    let wanted = BTreeSet::from([class.to_owned()]);
    Classes::load(&sources, &wanted, &Environment::new(Handle::current()), before).unwrap()
}

/// A gate that answers `/run` and `/trivial` by the class, and `/native` as `trivial` by Rust.
async fn gate(classes: &Classes) -> Gate {
    let settings = Settings { store: StoreUrl::Memory, rate_limits: false, ..Settings::default() };
    let mut singleton = Singleton::new("Mixed", ());
    for function in ["run", "trivial"] {
        let handler = classes.find("Busy", function).unwrap();
        let call = move |_, request: IncomingMessage, session: Session| {
            let permit = handler.reserve().unwrap();
            handler.call(request, session, permit)
        };
        singleton = singleton.method(function, call);
    }
    let singleton = singleton.method("native", async |_, _, session: Session| {
        session.get("a").map(|a| a.unwrap_or(json!("nothing")))
    });
    let rows = ["run", "trivial", "native"]
        .map(|name| json!({"pattern": name, "class": "Mixed", "method": name}));
    Gate::builder(settings)
        .singleton(singleton)
        .table(json!(rows).to_string())
        .open()
        .await
        .unwrap()
}

/// Asks so many times, from several tasks at once.
async fn ask(client: &Client, target: &'static str, calls: usize) {
    const TASKS: usize = 16;
    let mut asking = JoinSet::new();
    for _ in 0..TASKS {
        let client = client.stranger();
        asking.spawn(async move {
            for _ in 0..calls / TASKS {
                let answer = client.get(target).send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
    }
    asking.join_all().await;
}

#[test]
fn a_class_that_is_called_for_long_grows_no_memory() {
    run(async {
        let calls = size(2_000, 100_000);
        let gate = gate(&load(BUSY, "Busy", None)).await;
        let client = gate.client();
        ask(&client, "/run", calls / 10).await;
        let (before, watch) = (resident_kib(), Stopwatch::start());
        ask(&client, "/run", calls).await;
        let (after, rate) = (resident_kib(), real(calls) / watch.elapsed().as_secs_f64());
        let grown = after.saturating_sub(before);
        let figures = format!("{before} to {after} KiB over {calls} calls, {rate:.0} calls/s");
        figure("resident memory under calls that wait", figures);
        assert!(grown < size(64, 8) * 1024, "{grown} KiB more after {calls} calls");
    });
}

#[test]
fn replaced_isolates_leave_no_thread_and_no_memory() {
    const CLASS: &str = "Rld";
    run(async {
        let reloads = size(100, 1_000);
        let text = |edition: usize| {
            format!("export default class Rld {{ run() {{ return {edition}; }} }}")
        };
        let mut classes = Arc::new(load(&text(0), CLASS, None));
        for edition in 1..=reloads / 10 {
            classes = Arc::new(load(&text(edition), CLASS, Some(&classes)));
        }
        let before = resident_kib();
        for edition in 0..reloads {
            classes = Arc::new(load(&text(edition), CLASS, Some(&classes)));
            let unchanged = load(&text(edition), CLASS, Some(&classes));
            drop(unchanged);
        }
        // A thread that was told to stop takes a moment to end.
        let watch = Stopwatch::start();
        while threads(CLASS) > 1 && watch.elapsed().as_secs() < 10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(threads(CLASS), 1, "threads are left of {reloads} reloads");
        let after = resident_kib();
        figure(
            "resident memory under reloads",
            format!("{before} to {after} KiB, {reloads} times"),
        );
        assert!(after.saturating_sub(before) < size(64, 16) * 1024);
        drop(classes);
    });
}

#[test]
fn what_a_call_of_a_class_costs() {
    run(async {
        let (rounds, calls) = size((1, 320), (7, 40_000));
        let gate = gate(&load(BUSY, "Busy", None)).await;
        let client = gate.client();
        let mut taken = [("/native", Vec::new()), ("/trivial", Vec::new()), ("/run", Vec::new())];
        for _ in 0..rounds {
            for (target, taken) in &mut taken {
                let before = processor_micros();
                ask(&client, target, calls).await;
                taken.push((processor_micros() - before) / real(calls));
            }
        }
        for (target, taken) in taken {
            let cost = format!("{:.1} us, {rounds} rounds of {calls}", median(taken));
            figure(&format!("processor time of a call of {target} without a socket"), cost);
        }
    });
}

/// Threads of isolates of a class; names of threads end after 15 bytes.
fn threads(class: &str) -> usize {
    let name = format!("class {class}\n");
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|comm| *comm == name).count()
}

/// The resident memory of this process.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The processor time of this process in microseconds, all threads together.
fn processor_micros() -> f64 {
    // The time that all threads were on a processor, in nanoseconds, those that ended left out.
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let times =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("schedstat")).ok());
    times.map(|time| time.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3).sum()
}
