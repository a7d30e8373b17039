//! A server with the probe class, for the heavy tests: what `callgate serve` does, with handlers
//! that do what their query says. Settings come from `CALLGATE_*`. The word `faulty` puts a store
//! in between that loses what it is told to lose; `marks` takes the table from its file, whose rows
//! may name the functions `m1`, `m2`, … of the class `Mark`, and reloads it at `SIGHUP`; `editions`
//! puts the table of the probe class into that file and has new editions of it made by request.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for tests: what goes wrong in it fails the test"
)]

#[expect(dead_code, reason = "tests that hold the gate in their own process use more of it")]
#[path = "../it/support/probe.rs"]
mod probe;

#[path = "probe_server/editions.rs"]
mod editions;

#[path = "probe_server/points.rs"]
mod points;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::LazyLock;

use bytes::Bytes;
use callgate::Gate;
use callgate::IncomingMessage;
use callgate::OutgoingMessage;
use callgate::Session;
use callgate::Settings;
use callgate::Singleton;
use callgate::base::Clock;
use callgate::base::clock::SystemClock;
use callgate::gate::open_store;
use callgate::http::HandlerError;
use callgate::http::server::Drained;
use callgate::http::server::listen as listen_at;
use callgate::settings::Environment;
use callgate::settings::Flags;
use callgate::settings::LogFormat;
use callgate::store::Store;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::OperationKind;
use editions::Editions;
use probe::Probe;
use serde_json::Value;
use serde_json::json;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::filter::LevelFilter;

/// Rows by which a test looks into the server and steers it.
const CONTROL: &str = r#"[
    { "class": "Control", "method": "census", "pattern": "control/census" },
    { "class": "Control", "method": "arrivals", "pattern": "control/arrivals" },
    { "class": "Control", "method": "open", "pattern": "control/open" },
    { "class": "Control", "method": "arm", "pattern": "control/arm" },
    { "class": "Control", "method": "disarm", "pattern": "control/disarm" },
    { "class": "Control", "method": "sweep", "pattern": "control/sweep" },
    { "class": "Control", "method": "reload", "pattern": "control/reload" },
    { "class": "Control", "method": "lose", "pattern": "control/lose" },
    { "class": "Control", "method": "leak", "pattern": "control/leak" },
    { "class": "Control", "method": "much", "pattern": "control/much" },
"#;

/// More than the buffers of a connection hold; the same bytes in every answer.
static MUCH: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'x'; 16 * 1024 * 1024]));

/// How many functions the class `Mark` has.
const MARKS: usize = 2_000;

/// What the control rows work on.
struct Control {
    store: Arc<dyn Store>,
    faulty: Option<Arc<Faulty>>,
    probe: Arc<Probe>,
    editions: Arc<Editions>,
}

fn main() -> ExitCode {
    let reading = Settings::read(&Flags::default(), &Environment::of_process());
    assert!(!reading.is_refused(), "{:?}", reading.problems);
    log(&reading.settings);
    points::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match runtime.block_on(serve(reading.settings)) {
        Drained::Clean => ExitCode::SUCCESS,
        Drained::CutOff(_) => ExitCode::FAILURE,
    }
}

/// As `callgate serve` logs.
fn log(settings: &Settings) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::from_level(settings.log.level));
    if settings.log.format == LogFormat::Text {
        builder.with_ansi(false).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).init();
    }
}

async fn serve(settings: Settings) -> Drained {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut hang_up = signal(SignalKind::hangup()).unwrap();
    let (listen, internal) = (settings.listen, settings.internal);
    let probe = Arc::new(Probe::new());
    let mut store =
        open_store(&settings, SystemClock.now()).await.unwrap_or_else(|error| panic!("{error}"));
    let mut faulty = None;
    if std::env::args().any(|word| word == "faulty") {
        let wrapped = Arc::new(Faulty::new(store));
        store = wrapped.clone();
        faulty = Some(wrapped);
    }
    let says = |wanted: &str| std::env::args().any(|word| word == wanted);
    let editions = Arc::new(Editions::of(&settings.handlers));
    let control = Control {
        store: Arc::clone(&store),
        faulty,
        probe: Arc::clone(&probe),
        editions: Arc::clone(&editions),
    };
    let builder = Gate::builder(settings);
    let builder = if says("marks") {
        builder.singleton(marked())
    } else if says("editions") {
        editions.first();
        builder
    } else {
        builder.table(table(""))
    };
    let gate = builder
        .singleton(probe::singleton(probe))
        .singleton(singleton(control))
        .store(store)
        .open()
        .await;
    let gate = Arc::new(gate.unwrap_or_else(|error| panic!("{error}")));
    editions.serve(&gate);
    let inside = match internal {
        Some(address) => Some(listen_at(address).await.unwrap()),
        None => None,
    };
    let listener = listen_at(listen).await.unwrap();
    if let Some(inside) = &inside {
        println!("internal on http://{}", inside.local_addr().unwrap());
    }
    println!("listening on {}://{}", gate.scheme(), listener.local_addr().unwrap());
    let stop = async {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = hang_up.recv() => drop(gate.reload().await),
            }
        }
    };
    gate.serve(listener, inside, stop).await
}

/// The table of the probe class, with the control rows and `more` before its own.
fn table(more: &str) -> String {
    let rest = probe::TABLE.trim_start().trim_start_matches('[');
    format!("{CONTROL}{more}{rest}")
}

fn singleton(control: Control) -> Singleton<Control> {
    Singleton::new("Control", control)
        .method("census", census)
        .method("arrivals", arrivals)
        .method("open", open_door)
        .method("arm", points::arm)
        .method("disarm", points::disarm)
        .method("sweep", sweep)
        .method("reload", editions::reload)
        .method("lose", lose)
        .method("leak", leak)
        .method("much", async |_, _, _| OutgoingMessage::new().with_body(MUCH.clone()))
}

/// Functions that answer with their own name.
fn marked() -> Singleton<()> {
    let mark = |class: Singleton<()>, n: usize| {
        let name = format!("m{n}");
        let says = name.clone();
        class.method(name, move |_, _, _| {
            std::future::ready(OutgoingMessage::new().with_body(says.clone()))
        })
    };
    (1..=MARKS).fold(Singleton::new("Mark", ()), mark)
}

fn query<'r>(request: &'r IncomingMessage, name: &str) -> &'r str {
    request.url_query().find(name).unwrap_or_default()
}

/// Counts what the store holds, page by page.
async fn census(
    control: Arc<Control>,
    _: IncomingMessage,
    _: Session,
) -> Result<Value, HandlerError> {
    const PAGE: usize = 1_000;
    let now = SystemClock.now();
    let (mut sessions, mut last) = (0, None);
    loop {
        let page = control.store.sessions(now, last, PAGE).await?;
        sessions += page.len();
        last = page.last().map(|opened| opened.record.id);
        if page.len() < PAGE {
            break;
        }
    }
    let (mut tokens, mut last) = (0, None);
    loop {
        let page = control.store.tokens(now, last, PAGE).await?;
        tokens += page.len();
        last = page.last().map(|token| token.id);
        if page.len() < PAGE {
            break;
        }
    }
    Ok(json!({ "sessions": sessions, "tokens": tokens }))
}

/// Answers once so many requests have come to the door.
async fn arrivals(
    control: Arc<Control>,
    request: IncomingMessage,
    _: Session,
) -> Result<(), HandlerError> {
    let count = query(&request, "count").parse()?;
    control.probe.arrived.acquire_many(count).await?.forget();
    Ok(())
}

/// Lets so many requests through the door.
async fn open_door(
    control: Arc<Control>,
    request: IncomingMessage,
    _: Session,
) -> Result<(), HandlerError> {
    control.probe.door.add_permits(query(&request, "count").parse()?);
    Ok(())
}

/// Sweeps at once, as the sweep does from time to time.
async fn sweep(
    control: Arc<Control>,
    _: IncomingMessage,
    _: Session,
) -> Result<Value, HandlerError> {
    Ok(json!(callgate::store::sweep::once(&*control.store, SystemClock.now()).await?))
}

/// Loses the next request for, or reply to, a verb of the store.
async fn lose(
    control: Arc<Control>,
    request: IncomingMessage,
    _: Session,
) -> Result<(), HandlerError> {
    let verb = match query(&request, "verb") {
        "resume" => OperationKind::Resume,
        "create" => OperationKind::Create,
        "mint" => OperationKind::Mint,
        "redeem" => OperationKind::Redeem,
        other => return Err(HandlerError::new(format!("no such verb: {other}"))),
    };
    let what = if query(&request, "what") == "reply" { Lose::Reply } else { Lose::Request };
    let times = query(&request, "times").parse()?;
    let Some(faulty) = &control.faulty else { return Err(HandlerError::new("the store is sound")) };
    faulty.lose(verb, what, When::Next(times));
    Ok(())
}

/// Does what callgate must never do, so that a test can see that it would notice.
async fn leak(_: Arc<Control>, request: IncomingMessage, _: Session) -> Result<(), HandlerError> {
    tracing::info!(leaked = query(&request, "text"));
    Ok(())
}
