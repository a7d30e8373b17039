//! What calls leave behind in their class when they end: nothing that keeps a later call waiting,
//! reaches another call, or takes the room of those that are served.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use callgate::Gate;
use callgate::backend::Budgets;
use callgate::backend::FetchLimits;
use callgate::backend::script::Environment;
use callgate::backend::script::Fetcher;
use callgate::gate::Answer;
use callgate::http::hosts::HostRule;
use callgate::http::outbound;
use callgate::http::outbound::Outbound;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::support::scripts::Scripts;
use crate::support::scripts::load;
use crate::support::settings;

/// A request that was begun.
type Waiting = Pin<Box<dyn Future<Output = Answer>>>;

/// Asks, and goes on without waiting for the answer.
async fn begin(scripts: &Scripts, target: &str) -> Waiting {
    let path = format!("/{}", target.replacen('.', "/", 1));
    let mut waiting: Waiting = Box::pin(scripts.gate.client().get(&path).send());
    let answered = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready())).await;
    assert!(!answered, "{target} did not wait");
    waiting
}

/// A class that fetches from somebody who never answers, and keeps the promise.
const KEEPER: &str = "export default class Keeper {
    fetched() { return this.token ??= fetch('http://SILENT/').then(() => 'a token'); }
    leave() { void this.fetched(); }
    has() { return this.token !== undefined; }
    async await() { try { return await this.token; } catch (error) { return error.message; } }
    tidy() { this.token ??= fetch('http://SILENT/').catch(() => { this.token = undefined; }); }
}";

const ENDED: &str = "the request that began this has ended";

/// Classes that may fetch from there, however long it takes.
fn environment(there: SocketAddr) -> Environment {
    let fetcher = Fetcher {
        outbound: Some(Arc::new(Outbound::new(outbound::Config::default(), Vec::new()).unwrap())),
        hosts: [HostRule::parse(&there.to_string()).unwrap()].into(),
        limits: FetchLimits { timeout: Duration::from_mins(1), body_bytes: 8 << 20 },
    };
    Environment { fetcher, ..Environment::new(Handle::current()) }
}

async fn keeper(silent: SocketAddr) -> Scripts {
    let text = KEEPER.replace("SILENT", &silent.to_string());
    let functions = ["fetched within 400", "leave", "has", "await", "tidy"];
    let targets = functions.map(|function| format!("Keeper.{function}"));
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let builder = Gate::builder(settings());
    Scripts::on(builder, &environment(silent), &[("Keeper.js", &text)], &targets).await
}

/// Begins the fetch and comes back when the class keeps its promise.
async fn begin_to_fetch(scripts: &Scripts) -> Waiting {
    let fetching = begin(scripts, "Keeper.fetched").await;
    while scripts.ask("Keeper.has").await.json() != json!({"result": true}) {}
    fetching
}

#[tokio::test]
async fn a_promise_of_a_call_that_ended_is_rejected_for_those_who_wait_and_those_to_come() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scripts = keeper(silent.local_addr().unwrap()).await;
    let fetching = begin_to_fetch(&scripts).await;
    let waiting = begin(&scripts, "Keeper.await").await;
    assert_eq!(fetching.await.status, 500);
    assert_eq!(waiting.await.json(), json!({"result": ENDED}));
    assert_eq!(scripts.ask("Keeper.await").await.json(), json!({"result": ENDED}));
}

#[tokio::test]
async fn a_promise_of_a_call_that_ended_is_rejected_when_nobody_is_there() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scripts = keeper(silent.local_addr().unwrap()).await;
    assert_eq!(begin_to_fetch(&scripts).await.await.status, 500);
    assert_eq!(scripts.ask("Keeper.await").await.json(), json!({"result": ENDED}));
}

#[tokio::test]
async fn a_promise_of_a_request_that_was_answered_is_rejected_and_may_be_made_anew() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scripts = keeper(silent.local_addr().unwrap()).await;
    assert_eq!(scripts.ask("Keeper.tidy").await.status, 200);
    assert_eq!(scripts.ask("Keeper.has").await.json(), json!({"result": false}));
    assert_eq!(scripts.ask("Keeper.leave").await.status, 200);
    assert_eq!(scripts.ask("Keeper.await").await.json(), json!({"result": ENDED}));
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_the_class_is_an_error_that_it_can_catch() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = vec![b'a'; 6 << 20];
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        // Reads the request, too: what is closed with something unread takes back what was sent.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let limits = Budgets { heap_bytes: 4 << 20, ..Budgets::default() };
    let text = "export default class Keeper {
        async get() {
            this.got ??= fetch('http://SILENT/');
            try { await this.got; } catch (error) { return error.message; }
        }
    }";
    let environment = Environment { limits, ..environment(address) };
    let files = [("Keeper.js", &*text.replace("SILENT", &address.to_string()))];
    let scripts =
        Scripts::on(Gate::builder(settings()), &environment, &files, &["Keeper.get"]).await;
    assert_eq!(scripts.ask("Keeper.get").await.json(), json!({"result": "out of memory"}));
    assert_eq!(scripts.ask("Keeper.get").await.json(), json!({"result": "out of memory"}));
}

#[tokio::test]
async fn a_number_that_is_no_timers_stops_nothing() {
    let text = "export default class A {
        async mint(request, session) {
            const minted = session.createOTP();
            for (let number = 0; number < 100; number += 1) clearTimeout(number);
            return (await minted).length;
        }
    }";
    let scripts = Scripts::open(&[("A.js", text)], &["A.mint"]).await;
    assert_eq!(scripts.ask("A.mint").await.json(), json!({"result": 32}));
}

#[tokio::test]
async fn what_an_engine_had_begun_does_not_land_in_the_one_that_replaced_it() {
    let text = "export default class A {
        async storm() {
            setTimeout(() => {}, 50);
            const spin = async () => { for (;;) await null; };
            await Promise.all(Array.from({ length: 1000 }, spin));
        }
        async wait() {
            const begun = Date.now();
            await new Promise((done) => setTimeout(done, 1000));
            return Date.now() - begun > 900;
        }
    }";
    // On a machine with much to do the storm takes many times its processor time, and the other call
    // waits for its end.
    let (cpu, wall) = (Duration::from_millis(300), Duration::from_mins(2));
    let limits = Budgets { cpu, wall, ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.storm", "A.wait"]).await;
    let storm = begin(&scripts, "A.storm").await;
    let wait = begin(&scripts, "A.wait").await;
    // The timer of the storm lands while it rages, behind the other call.
    assert_eq!(storm.await.status, 500);
    assert_eq!(wait.await.json(), json!({"result": true}));
}

#[tokio::test]
async fn a_call_that_ended_before_its_turn_does_not_run_and_keeps_its_place_until_then() {
    let text = "export default class A {
        served = 0;
        spin() { const end = Date.now() + 1500; while (Date.now() < end); }
        serve() { this.served += 1; }
        count() { return this.served; }
    }";
    let limits = Budgets { calls: 2, cpu: Duration::from_secs(5), ..Budgets::default() };
    let targets = ["A.spin", "A.serve within 100", "A.count"];
    let scripts = Scripts::within(limits, &[("A.js", text)], &targets).await;
    let spinning = begin(&scripts, "A.spin").await;
    assert_eq!(begin(&scripts, "A.serve").await.await.status, 500);
    assert_eq!(scripts.ask("A.serve").await.status, 503, "the queue is full of the dead");
    assert_eq!(spinning.await.status, 200);
    assert_eq!(scripts.ask("A.count").await.json(), json!({"result": 0}));
}

#[tokio::test]
async fn what_a_call_that_was_stopped_cannot_bring_is_not_waited_for_for_ever() {
    let text = "export default class A {
        get(request) { return this.ready ??= this.make(request.urlQuery.spin); }
        async make(spin) { await null; while (spin); return 'made'; }
    }";
    let (cpu, wall) = (Duration::from_millis(50), Duration::from_millis(700));
    let limits = Budgets { cpu, wall, ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.get"]).await;
    assert_eq!(scripts.ask("A.get?spin=1").await.status, 500);
    assert_eq!(scripts.ask("A.get").await.status, 500, "it waits for the one that was stopped");
    assert_eq!(scripts.ask("A.get").await.json(), json!({"result": "made"}));
}

#[tokio::test]
async fn a_class_that_leaves_endless_jobs_behind_is_not_loaded() {
    let text = "const spin = async () => { for (;;) await null; };\n\
                spin();\nexport default class A { run() {} }";
    let environment = Environment::new(Handle::current());
    let problems = load(&environment, &[("A.js", text)], &["A.run"]).unwrap_err();
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["class-endless"]);
}
