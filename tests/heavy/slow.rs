//! Thousands of clients that only hold connections, of every kind, while others want to be
//! served (docs/SECURITY.md C-12, G32).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::support::Ask;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::frames;
use crate::support::frames::frame;
use crate::support::process::folder;
use crate::support::real;
use crate::support::run;
use crate::support::size;
use crate::support::slow::Manner;
use crate::support::slow::Reads;
use crate::support::slow::reading;

/// Connections from one address: fewer than it may have.
const PER_ADDRESS: usize = 200;
/// How much later than its deadline a connection may end. An HTTP/2 peer has half a second to read
/// that it is being sent away.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Connections that come together, and the pause before the next ones.
const WAVE: usize = 25;
const WAVE_PAUSE: Duration = Duration::from_millis(40);
/// Clients who want to be served meanwhile, and their pause between two requests.
const GUESTS: usize = 4;
const GUEST_PAUSE: Duration = Duration::from_millis(10);
const RSS_KIB_MAX: u64 = 300 * 1024;
/// The name in the certificate.
const NAME: &str = "gate.test";

/// The limits of the server, in seconds.
#[derive(Clone, Copy)]
struct Limits {
    handshake: u64,
    first_byte: u64,
    header: u64,
    /// What a body of a few bytes may take.
    body: u64,
    body_gap: u64,
    write_stall: u64,
}

/// Short, so that a test of every day is over soon, and in the same order as the defaults.
const SHORT: Limits =
    Limits { handshake: 2, first_byte: 1, header: 2, body: 3, body_gap: 2, write_stall: 6 };
/// The defaults. A body has 20 s, and more only for what has come of it.
const DEFAULT: Limits =
    Limits { handshake: 10, first_byte: 5, header: 15, body: 20, body_gap: 10, write_stall: 30 };

/// A kind of slow client.
struct Kind {
    name: &'static str,
    door: Door,
    manner: Manner,
    deadline: Duration,
    /// Connections, if they are to be fewer than of the others.
    most: usize,
}

/// Where a client comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Plain,
    Tls,
    /// Over TLS, once the handshake is done.
    Shaken,
}

#[test]
fn slow_clients_are_let_go_in_time_and_hurt_nobody() {
    let limits = size(SHORT, DEFAULT);
    let home = folder();
    let trusted = put_certificate(home.path());
    let plain = plan(limits).start();
    let file = |name: &str| home.path().join(name).display().to_string();
    let https = plan(limits).set("TLS_CERT", &file("cert.pem")).set("TLS_KEY", &file("key.pem"));
    let https = https.start();
    let kinds = Arc::new(kinds(limits));
    run(async {
        let busy = Arc::new(AtomicBool::new(true));
        let mut guests = JoinSet::new();
        for _ in 0..GUESTS {
            guests.spawn(guest(plain.connect().await, Arc::clone(&busy)));
        }
        let doors = Doors { plain: plain.address, tls: https.address, trusted };
        let ends = hold(&kinds, &doors, size(9, 125)).await;
        busy.store(false, Ordering::Relaxed);
        let mut waits: Vec<Duration> = guests.join_all().await.concat();
        waits.sort();
        report(&kinds, &ends, &waits, [&plain, &https]);
    });
}

fn plan(limits: Limits) -> ServerPlan {
    let secs = |secs: u64| secs.to_string();
    let plan = ServerPlan::probe("memory:").set("LOG_LEVEL", "warn");
    // A body of many bytes may take as long as it wants to here; the default is a minute.
    let body = size(secs(limits.body), secs(60));
    plan.set("LIMITS_HANDSHAKE_SECS", &secs(limits.handshake))
        .set("LIMITS_FIRST_BYTE_SECS", &secs(limits.first_byte))
        .set("LIMITS_HEADER_SECS", &secs(limits.header))
        .set("LIMITS_BODY_SECS", &body)
        .set("LIMITS_BODY_GAP_SECS", &secs(limits.body_gap))
        .set("LIMITS_WRITE_STALL_SECS", &secs(limits.write_stall))
}

fn put_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Every way of holding a connection, and when it ends.
fn kinds(limits: Limits) -> Vec<Kind> {
    let secs = Duration::from_secs;
    let kind = |name, deadline, manner| Kind {
        name,
        door: Door::Plain,
        manner,
        deadline,
        most: usize::MAX,
    };
    let over = |door, kind: Kind| Kind { door, ..kind };
    // Each of these can cost megabytes of the kernel's memory.
    let few = |kind: Kind| Kind { most: size(3, 40), ..kind };
    let post = |framing: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
    let first = secs(limits.first_byte);
    let header = secs(limits.header);
    let stall = secs(limits.write_stall);
    let gap = secs(limits.body_gap);
    let hello = |window: u32, rest: Vec<u8>| Manner::new([frames::hello(window), rest].concat());
    let streams = (0..10).flat_map(|at| frames::post(2 * at + 1, "/echo")).collect();
    let much = "GET /control/much HTTP/1.1\r\nHost: x\r\n\r\n";
    let window = frame(frames::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    vec![
        kind("no byte", first, Manner::new("")),
        kind("one byte of either protocol", first, Manner::new("P")),
        kind("half a preface", first, Manner::new("PRI * HTTP/2.0\r\n")),
        kind("half a request line", header, Manner::new("GET /who")),
        kind("dripping headers", header, Manner::new("GET /whoami HTTP/1.1\r\nX: ").dripping("a")),
        kind("a preface alone", header, Manner::new(frames::PREFACE)),
        kind("settings alone", header, hello(65_535, vec![])),
        over(Door::Tls, kind("no hello", secs(limits.handshake), Manner::new(""))),
        over(
            Door::Tls,
            kind("half a hello", secs(limits.handshake), Manner::new(b"\x16\x03\x01\x02\x00\x01")),
        ),
        over(Door::Shaken, kind("silent after the handshake", first, Manner::new(""))),
        kind("a body that stops", gap, Manner::new(post("Content-Length: 99") + "12345")),
        kind(
            "a dripping body",
            secs(limits.body),
            Manner::new(post("Content-Length: 99999")).dripping("x"),
        ),
        kind("HTTP/2 bodies that do not come", gap + header, hello(65_535, streams)),
        few(kind("reads nothing", stall, Manner::new(much).reading(Reads::Nothing))),
        few(kind("reads a byte now and then", stall, Manner::new(much).reading(Reads::Bytes))),
        kind("an HTTP/2 window of 0", stall, hello(0, frames::get(1, "/whoami"))),
        kind(
            "an HTTP/2 window of a byte now and then",
            stall,
            hello(0, frames::get(1, "/whoami")).dripping(window),
        ),
        kind(
            "idle after an answer",
            header,
            Manner::new("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n"),
        ),
        kind("idle after an HTTP/2 answer", header, hello(65_535, frames::get(1, "/whoami"))),
        kind(
            "a flood of pings",
            Duration::ZERO,
            hello(65_535, frame(frames::PING, 0, 0, &[0; 8]).repeat(1_100)),
        ),
    ]
}

/// Where the servers are, and what the encrypted one shows.
struct Doors {
    plain: SocketAddr,
    tls: SocketAddr,
    trusted: CertificateDer<'static>,
}

/// Holds so many connections of each kind; how long each of them could be held.
async fn hold(kinds: &Arc<Vec<Kind>>, doors: &Doors, each: usize) -> Vec<Vec<Duration>> {
    let mut roots = RootCertStore::empty();
    roots.add(doors.trusted.clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let shake = TlsConnector::from(Arc::new(client));
    let mut holding = JoinSet::new();
    let mut opened = 0;
    for number in 0..each {
        for at in (0..kinds.len()).filter(|at| number < kinds[*at].most) {
            let (kinds, shake) = (Arc::clone(kinds), shake.clone());
            let door = if kinds[at].door == Door::Plain { doors.plain } else { doors.tls };
            let address = opened / PER_ADDRESS;
            opened += 1;
            // Deadlines run from the moment that the server lets a connection in: not so fast that
            // they would have to queue.
            if opened % WAVE == 0 {
                tokio::time::sleep(WAVE_PAUSE).await;
            }
            let stream = reading(kinds[at].manner.reads, address, door).await.unwrap();
            holding.spawn(async move {
                let stream = if kinds[at].door == Door::Shaken {
                    shaken(&shake, stream).await
                } else {
                    stream
                };
                (at, kinds[at].manner.endure(stream).await)
            });
        }
    }
    let mut ends = vec![Vec::new(); kinds.len()];
    while let Some(ended) = holding.join_next().await {
        let (at, held) = ended.unwrap();
        ends[at].push(held);
    }
    ends
}

async fn shaken(shake: &TlsConnector, stream: TcpStream) -> TcpStream {
    let name = ServerName::try_from(NAME).unwrap();
    shake.connect(name, stream).await.unwrap().into_inner().0
}

/// Somebody who wants to be served; how long each answer took.
async fn guest(mut connection: crate::support::Connection, busy: Arc<AtomicBool>) -> Vec<Duration> {
    let ask = Ask::get("/whoami");
    let mut waits = Vec::new();
    while busy.load(Ordering::Relaxed) {
        let watch = Stopwatch::start();
        connection.ask(&ask).await.unwrap().good();
        waits.push(watch.elapsed());
        tokio::time::sleep(GUEST_PAUSE).await;
    }
    waits
}

fn report(kinds: &[Kind], ends: &[Vec<Duration>], waits: &[Duration], servers: [&Server; 2]) {
    let total: usize = ends.iter().map(Vec::len).sum();
    for (kind, ends) in kinds.iter().zip(ends) {
        let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
        figure(
            &format!("slow clients, {}", kind.name),
            format!(
                "{} held, deadline {:.1} s, ended after {:.1} to {:.1} s",
                ends.len(),
                kind.deadline.as_secs_f64(),
                first.as_secs_f64(),
                last.as_secs_f64(),
            ),
        );
        assert!(*last <= kind.deadline + LATE_MAX, "{}: {last:?}", kind.name);
        assert!(*first >= kind.deadline.mul_f64(0.9), "{}: {first:?}, too early", kind.name);
    }
    let at = |part: usize| waits[waits.len() * part / 100].as_secs_f64() * 1_000.0;
    let peak = servers.map(|server| server.memory().peak);
    figure(
        "slow clients",
        format!(
            "{total} at once; {} answers to {GUESTS} others meanwhile in {:.1} ms at the median, \
             {:.1} ms at p99; RSS peak {:.1} MiB, over TLS {:.1} MiB",
            waits.len(),
            at(50),
            at(99),
            real(peak[0]) / 1024.0,
            real(peak[1]) / 1024.0,
        ),
    );
    assert!(at(99) < 250.0, "p99 {} ms", at(99));
    assert!(peak.iter().sum::<u64>() < RSS_KIB_MAX, "{peak:?}");
}
