//! What a class is in when its budget is used up: any operator, any built-in, and what is built of
//! them, on inputs of up to a mebibyte. The call ends on its budget, the next call of the same
//! class is answered at once, and the thread of the class rests.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use callgate::Gate;
use callgate::IncomingMessage;
use callgate::Session;
use callgate::Settings;
use callgate::Singleton;
use callgate::backend::Budgets;
use callgate::backend::script::Classes;
use callgate::backend::script::Environment;
use callgate::backend::script::Sources;
use callgate::base::clock::Stopwatch;
use callgate::gate::Client;
use callgate::http::Handlers as _;
use callgate::settings::StoreUrl;
use serde_json::json;
use tokio::runtime::Handle;

use crate::support::figure;
use crate::support::run;
use crate::support::size;

/// Runs what a visitor sends, and answers other requests of the same class.
const RUNS: &str = "
    export default class Runs {
        async run(request, session) {
            globalThis.given = [request, session];
            return await (0, eval)(request.getText());
        }
        fine() { return 1; }
    }";

/// What takes long, by name: what it works on, and one step of it.
const STEPS: &str = include_str!("endings/steps.js");
/// Calls every function that a script can reach, on receivers that make it work.
const EVERY: &str = include_str!("endings/every.js");
/// How many receivers that file has.
const RECEIVERS: usize = 21;

/// Processor time that may pass between the end of a budget and the end of a call, and after that.
const LATE: Duration = Duration::from_millis(100);

/// A gate over the class, and the name of its thread.
struct Suite {
    gate: Gate,
    class: &'static str,
}

/// How one attack went.
struct Ended {
    status: u16,
    /// Processor time of the class from the request to its end, and from there until the next
    /// request was answered.
    used: Duration,
    after: Duration,
    /// From the request to its answer, and from there to the answer of one that waited meanwhile.
    took: Duration,
    waited: Duration,
}

impl Suite {
    async fn open(class: &'static str, cpu: Duration) -> Self {
        let limits = Budgets { cpu, wall: Duration::from_mins(1), ..Budgets::default() };
        let text = RUNS.replace("Runs", class);
        let sources = Sources::of_texts([(format!("{class}.js").as_str(), text.as_str())]);
        let wanted = BTreeSet::from([class.to_owned()]);
        let environment = Environment { limits, ..Environment::new(Handle::current()) };
        let classes = Classes::load(&sources, &wanted, &environment, None).unwrap();
        let mut singleton = Singleton::new("Runs", ());
        for function in ["run", "fine"] {
            let handler = classes.find(class, function).unwrap();
            let call = move |_, request: IncomingMessage, session: Session| {
                let permit = handler.reserve().unwrap();
                handler.call(request, session, permit)
            };
            singleton = singleton.method(function, call);
        }
        let rows = ["run", "fine"].map(|name| {
            json!({"pattern": name, "class": "Runs", "method": name, "limits": {"timeoutMs": 60_000}})
        });
        let settings =
            Settings { store: StoreUrl::Memory, rate_limits: false, ..Settings::default() };
        let gate = Gate::builder(settings).singleton(singleton).table(json!(rows).to_string());
        Self { gate: gate.open().await.unwrap(), class }
    }

    /// Sends a script, and right behind it a request that the same class has to answer.
    async fn attack(&self, script: &str) -> Ended {
        let client = self.gate.client();
        let (before, watch) = (self.processor_time(), Stopwatch::start());
        let asked =
            client.post("/run").header("content-type", "text/plain").body(script.to_owned());
        let attack = async {
            let answer = asked.send().await;
            (answer.status, watch.elapsed(), self.processor_time())
        };
        let neighbour = async {
            // Behind the attack in the queue of the class.
            tokio::task::yield_now().await;
            let answer = fine(&client.stranger()).await;
            assert_eq!(answer, 200, "the neighbour after {script}");
            (watch.elapsed(), self.processor_time())
        };
        let ((status, took, ended), (waited, rested)) = tokio::join!(attack, neighbour);
        Ended {
            status,
            used: ended.saturating_sub(before),
            after: rested.saturating_sub(ended),
            took,
            waited: waited.saturating_sub(took),
        }
    }

    /// The processor time of the thread of the class.
    fn processor_time(&self) -> Duration {
        let name = format!("class {}\n", self.class);
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let own = tasks
            .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm == name));
        let spent = own.filter_map(|task| fs::read_to_string(task.join("schedstat")).ok());
        Duration::from_nanos(
            spent.map(|spent| spent.split(' ').next().unwrap().parse::<u64>().unwrap()).sum(),
        )
    }
}

async fn fine(client: &Client) -> u16 {
    client.get("/fine").send().await.status
}

impl Ended {
    /// What is wrong with it, if anything is, on a budget of `cpu`.
    fn fault(&self, cpu: Duration) -> Option<String> {
        let is_late = self.used > cpu + LATE.min(cpu) || self.after > LATE;
        (is_late || self.status != 500).then(|| {
            let Self { status, used, after, took, .. } = self;
            format!("{status}: {used:?} used of {cpu:?}, {after:?} afterwards, {took:?} in all")
        })
    }
}

/// The worst of many.
#[derive(Default)]
struct Worst {
    used: Duration,
    after: Duration,
    took: Duration,
    waited: Duration,
}

impl Worst {
    fn note(&mut self, ended: &Ended) {
        self.used = self.used.max(ended.used);
        self.after = self.after.max(ended.after);
        self.took = self.took.max(ended.took);
        self.waited = self.waited.max(ended.waited);
    }

    fn tell(&self, what: &str, cpu: Duration) {
        let Self { used, after, took, waited } = self;
        figure(
            what,
            format!(
                "at most {used:?} of processor time on a budget of {cpu:?}, {took:?} by the clock; \
                 {after:?} after the end; the next call of the class {waited:?} later"
            ),
        );
    }
}

/// A script that does a step for ever.
fn endless(body: &str) -> String {
    let (with, step) = body.split_once("---\n").unwrap_or(("", body));
    format!("(async () => {{ {with}\nfor (;;) {{ {step} }} }})()")
}

#[test]
fn no_step_however_long_outlives_the_budget_of_its_call() {
    run(async {
        let cpu = size(Duration::from_millis(100), Budgets::default().cpu);
        let suite = Suite::open("Steps", cpu).await;
        let (mut failures, mut worst) = (Vec::new(), Worst::default());
        let cases: Vec<&str> = STEPS.split("\n// ").skip(1).collect();
        assert!(cases.len() >= 90, "{} cases", cases.len());
        for case in &cases {
            let (name, body) = case.split_once('\n').unwrap();
            let ended = suite.attack(&endless(body)).await;
            worst.note(&ended);
            failures.extend(ended.fault(cpu).map(|fault| format!("{name}: {fault}")));
        }
        worst.tell(&format!("{} endless steps", cases.len()), cpu);
        assert!(failures.is_empty(), "{failures:#?}");
    });
}

#[test]
fn no_function_that_a_script_can_reach_outlives_the_budget_of_its_call() {
    run(async {
        let cpu = Duration::from_millis(60);
        let suite = Suite::open("Every", cpu).await;
        let asked = suite.gate.client().post("/run").header("content-type", "text/plain");
        let listed = asked.body(format!("{EVERY}\nevery().map(([,, name]) => name)")).send().await;
        let listed = listed.json();
        let names = listed["result"].as_array().unwrap();
        assert!(names.len() > 600, "{} functions", names.len());
        let (mut failures, mut worst, mut attacks) = (Vec::new(), Worst::default(), 0);
        for (at, name) in names.iter().enumerate().step_by(size(23, 1)) {
            for on in (at % RECEIVERS..).step_by(size(RECEIVERS, 1)).take(size(1, RECEIVERS)) {
                let on = on % RECEIVERS;
                let ended = suite.attack(&format!("{EVERY}\nattack({at}, {on})")).await;
                worst.note(&ended);
                attacks += 1;
                failures.extend(ended.fault(cpu).map(|fault| format!("{name} on {on}: {fault}")));
            }
        }
        worst.tell(&format!("{} functions of the realm in {attacks} attacks", names.len()), cpu);
        assert!(failures.is_empty(), "{failures:#?}");
    });
}
