//! A first reading of speed: what a request costs, held against hyper that only says hello.
//!
//! Everything runs on one machine, client and server share its cores, so throughput says little
//! by itself. The processor time of the server process per request does not depend on the client.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use callgate::base::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::median;
use crate::support::process::folder;
use crate::support::real;
use crate::support::run;
use crate::support::size;
use crate::support::wire::COOKIE;

/// Connections that are kept and always busy, unless it is said otherwise.
const CONNECTIONS: usize = 48;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `GET /`, of bare hyper.
    Hello,
    /// A handler reads one storage key of the session that the cookie of this name opens.
    Resume { path: &'static str, cookie: &'static str },
    /// A request in a session is passed on from this path.
    Pass(&'static str),
    /// Two requests: the session that the cookie of this name opens mints a token, and a server
    /// redeems it; both write to the session, or neither does.
    Callback { cookie: &'static str, writes: bool },
}

/// A token of callgate there and back, with nothing else to keep.
const CALLBACK: Kind = Kind::Callback { cookie: COOKIE, writes: false };

/// A handler in Rust reads one storage key.
pub(crate) const RESUME: Kind = Kind::Resume { path: "/read?key=a", cookie: COOKIE };

/// One that is measured.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
    server: Server,
    requests: usize,
    /// Connections that are kept and always busy.
    connections: usize,
    /// Microseconds of the server's processor time per request, one for each round.
    pub(crate) cpu: Vec<f64>,
    /// Requests per second, one for each round.
    pub(crate) rate: Vec<f64>,
}

#[test]
fn what_a_request_costs() {
    let rounds = size(1, 7);
    let (many, few) = size((1_000, 300), (60_000, 20_000));
    let (disk, quiet_disk) = (folder(), folder());
    let memory = ServerPlan::probe("memory:");
    let embedded = ServerPlan::embedded(disk.path());
    let start = |name, kind, plan: &ServerPlan, requests| {
        Contender::new(name, kind, plan.start(), requests)
    };
    let quiet = |plan: ServerPlan| plan.set("LOG_LEVEL", "warn");
    let mut contenders = vec![
        start("bare hyper", Kind::Hello, &ServerPlan::bare(), many),
        start("resume, memory", RESUME, &memory, many),
        start("resume, memory, log level warn", RESUME, &quiet(memory.clone()), many),
        start("resume, memory, rates counted", RESUME, &counted(memory.clone()), many),
        start("resume, embedded", RESUME, &embedded, many),
        start(
            "resume, embedded, log level warn",
            RESUME,
            &quiet(ServerPlan::embedded(quiet_disk.path())),
            many,
        ),
        start("mint and redeem, memory", CALLBACK, &memory, few),
    ];
    let callback_disk = folder();
    let plan = ServerPlan::embedded(callback_disk.path());
    contenders.push(start("mint and redeem, embedded", CALLBACK, &plan, few));
    run(alternate(&mut contenders, rounds));
    report(&contenders);
}

/// Counts every request, and limits nobody who comes from this machine alone.
fn counted(plan: ServerPlan) -> ServerPlan {
    let names = ["REQUESTS_PER_SEC", "REQUESTS_BURST", "GUESTS_BURST", "ALL_GUESTS_BURST"];
    let plan = plan.set("RATE_LIMITS", "on");
    names.iter().fold(plan, |plan, name| plan.set(&format!("RATES_{name}"), "1000000"))
}

/// Measures all of them so many times, after once for nothing; in turns, so that what else happens
/// on the machine hits all of them.
pub(crate) async fn alternate(contenders: &mut [Contender], rounds: usize) {
    for round in 0..=rounds {
        for contender in &mut *contenders {
            contender.measure(round > 0).await;
        }
    }
}

impl Contender {
    pub(crate) fn new(name: &'static str, kind: Kind, server: Server, requests: usize) -> Self {
        let connections = CONNECTIONS;
        Self { name, kind, server, requests, connections, cpu: Vec::new(), rate: Vec::new() }
    }

    /// The same on one connection, where a request waits for nobody but the store.
    pub(crate) fn alone(self) -> Self {
        Self { connections: 1, ..self }
    }

    async fn measure(&mut self, counts: bool) {
        let clients = self.server.connections(self.connections).await;
        let left = Arc::new(AtomicUsize::new(self.requests));
        let mut asking = JoinSet::new();
        let (cpu, watch) = (self.server.cpu(), Stopwatch::start());
        for client in clients {
            asking.spawn(ask(client, self.kind, Arc::clone(&left)));
        }
        asking.join_all().await;
        let elapsed = watch.elapsed().as_secs_f64();
        let cpu = self.server.cpu().saturating_sub(cpu).as_secs_f64();
        if counts {
            self.cpu.push(cpu * 1e6 / real(self.requests));
            self.rate.push(real(self.requests) / elapsed);
        }
    }
}

/// One connection, which asks until all requests are taken.
async fn ask(mut client: Connection, kind: Kind, left: Arc<AtomicUsize>) {
    let take = |count| {
        let take = move |left: usize| left.checked_sub(count);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    };
    let found = Ask::get("/write?key=a&value=1");
    match kind {
        Kind::Hello => {
            let bytes = Ask::get("/").bytes();
            while take(1) {
                assert_eq!(client.ask_bytes(&bytes, false).await.unwrap().status, 200);
            }
        }
        Kind::Resume { path, cookie } => {
            let reply = client.ask(&found).await.unwrap().good();
            let shown = format!("{cookie}={}", reply.given(cookie).unwrap());
            let bytes = Ask::get(path).header("Cookie", &shown).bytes();
            while take(1) {
                let reply = client.ask_bytes(&bytes, false).await.unwrap();
                assert_eq!(reply.body, br#"{"result":"1"}"#);
            }
        }
        Kind::Pass(path) => {
            let cookie = client.ask(&found).await.unwrap().good().cookie().unwrap().to_owned();
            let bytes = Ask::get(path).cookie(&cookie).bytes();
            while take(1) {
                assert_eq!(client.ask_bytes(&bytes, false).await.unwrap().status, 200);
            }
        }
        Kind::Callback { cookie, writes } => {
            let reply = client.ask(&found).await.unwrap().good();
            let shown = format!("{cookie}={}", reply.given(cookie).unwrap());
            // A value that is there already would be no write to some.
            let mut value = 0;
            while take(2) {
                value += 1;
                let (mint, redeem) = if writes {
                    (format!("/mint?value={value}"), format!("/context-write?key=b&value={value}&"))
                } else {
                    ("/mint".to_owned(), "/context?".to_owned())
                };
                let mint = Ask::get(&mint).header("Cookie", &shown);
                let token = client.ask(&mint).await.unwrap().good().text();
                let redeem = Ask::get(&format!("{redeem}$4DSID={token}"));
                let back = client.ask(&redeem).await.unwrap().good();
                assert!(writes || back.outcome() == "restored", "{}", back.text());
                assert_ne!(back.text(), "", "the session was not found again");
            }
        }
    }
}

/// Says what was measured, held against the first of them.
pub(crate) fn report(contenders: &[Contender]) {
    let first = contenders[0].name;
    let bare = (median(contenders[0].cpu.clone()), median(contenders[0].rate.clone()));
    for contender in contenders {
        let (cpu, rate) = (median(contender.cpu.clone()), median(contender.rate.clone()));
        let (low, high) = contender
            .cpu
            .iter()
            .fold((f64::MAX, 0.0_f64), |(low, high), cpu| (low.min(*cpu), high.max(*cpu)));
        assert!(rate > 0.0);
        figure(
            &format!("speed of {}", contender.name),
            format!(
                "{cpu:.1} us CPU per request ({:.2} x {first}; {low:.1} to {high:.1}), {rate:.0} \
                 requests/s ({:.2} x {first}), {} rounds of {}, connections: {}",
                cpu / bare.0,
                rate / bare.1,
                contender.cpu.len(),
                contender.requests,
                contender.connections,
            ),
        );
    }
}
