//! What makes a test five lines: a gate with one class that does what it is told.

pub(crate) mod asked;
pub(crate) mod dice;
pub(crate) mod frames;
pub(crate) mod leaks;
pub(crate) mod lent;
pub(crate) mod log;
pub(crate) mod peer;
pub(crate) mod probe;
pub(crate) mod program;
#[cfg(feature = "script")]
pub(crate) mod scripts;
pub(crate) mod upstream;
pub(crate) mod visitor;
pub(crate) mod wire;

use std::future::Ready;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callgate::Gate;
use callgate::GateBuilder;
use callgate::Settings;
use callgate::base::clock::Clock;
use callgate::base::clock::ManualClock;
use callgate::base::clock::Stopwatch;
use callgate::gate::Answer;
use callgate::settings::StoreUrl;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::embedded::OpenErrorKind;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::memory::MemoryStore;
use callgate::store::port::Opened;
use callgate::store::port::OperationKind;
use callgate::store::port::Store;
use callgate::token::Token;

use crate::stores::kit::Ground;
use crate::support::leaks::Ledger;
use crate::support::probe::Probe;
use crate::support::visitor::Visitor;

/// The reserved key, as it is written in a URL.
pub(crate) const TOKEN_KEY: &str = "$4DSID";

/// A gate whose time stands still until the test moves it, and whose store can be cut off.
pub(crate) struct House {
    pub(crate) gate: Gate,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Faulty>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) ledger: Arc<Ledger>,
    cookie_name: String,
}

impl House {
    /// A gate with the probe class and the probe table, on a store of its own.
    pub(crate) async fn open(settings: Settings) -> Self {
        Self::on(Arc::new(MemoryStore::new()), settings).await
    }

    /// The same on a store that somebody else may use too.
    pub(crate) async fn on(store: Arc<dyn Store>, settings: Settings) -> Self {
        Self::of(store, settings, probe::TABLE).await
    }

    /// A gate whose table has these rows in front of the probe's.
    pub(crate) async fn with_rows(settings: Settings, rows: &str) -> Self {
        Self::rows_on(Arc::new(MemoryStore::new()), settings, rows).await
    }

    /// The same on a store that there is already.
    pub(crate) async fn rows_on(store: Arc<dyn Store>, settings: Settings, rows: &str) -> Self {
        let rest = probe::TABLE.trim_start_matches('[');
        Self::of(store, settings, &format!("[{rows},{rest}")).await
    }

    async fn of(store: Arc<dyn Store>, settings: Settings, table: &str) -> Self {
        Box::pin(Self::with_classes(store, (settings, table), |builder| builder)).await
    }

    /// A gate with more classes than the probe's.
    pub(crate) async fn with_classes(
        store: Arc<dyn Store>,
        (settings, table): (Settings, &str),
        add: impl FnOnce(GateBuilder) -> GateBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(Faulty::new(store));
        let probe = Arc::new(Probe::new());
        let ledger = Ledger::new(settings.development);
        let cookie_name = settings.cookie_name();
        let gate = add(Gate::builder(settings))
            .table(table)
            .singleton(probe::singleton(Arc::clone(&probe)))
            .store(store.clone())
            .clock(clock.clone())
            .open()
            .await
            .unwrap();
        Self { gate, clock, store, probe, ledger: Arc::new(ledger), cookie_name }
    }

    /// Somebody whom the gate has not seen.
    pub(crate) fn visitor(&self) -> Visitor {
        let name = self.cookie_name.clone();
        Visitor::new(self.gate.client(), Arc::clone(&self.ledger), name)
    }

    /// The name of the session cookie.
    pub(crate) fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    pub(crate) fn wait_secs(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// The next calls of these verbs fail, until [`Faulty::heal`].
    pub(crate) fn cut_off(&self, verbs: &[OperationKind]) {
        for verb in verbs {
            self.store.lose(*verb, Lose::Request, When::Every(1));
        }
    }

    /// The sessions that are stored.
    pub(crate) async fn stored(&self) -> Vec<Opened> {
        self.store.inner().sessions(self.clock.now(), None, 1_000).await.unwrap()
    }

    /// The tokens that can still be redeemed.
    pub(crate) async fn unspent(&self) -> Vec<Token> {
        self.store.inner().tokens(self.clock.now(), None, 1_000).await.unwrap()
    }
}

/// Settings for a gate that keeps nothing and finds no files of its own.
pub(crate) fn settings() -> Settings {
    Settings {
        store: StoreUrl::Memory,
        handlers: Path::new("nowhere/handlers.json").to_owned(),
        // The tests of the limits switch them on; all others may be as busy as they like.
        rate_limits: false,
        ..Settings::default()
    }
}

/// A gate in memory with the probe class.
pub(crate) async fn house() -> House {
    House::open(settings()).await
}

/// The store on which scenarios run that say nothing else: a fresh one in memory. The modules
/// `on_embedded` and `on_shared`, and `tests/engines`, run the same scenarios on others.
pub(crate) fn fresh() -> Ready<Arc<dyn Store>> {
    ready(Arc::new(MemoryStore::new()))
}

/// A store in memory, which nobody opens again: what its process knew is lost.
pub(crate) fn ground() -> Ground {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    Ground::of(move || ready(Arc::clone(&store)))
}

/// A store in a folder that an earlier one has closed.
///
/// A program that another test starts has the lock of the earlier store, too, from its fork until it
/// begins: on a machine with much to do that takes a moment.
pub(crate) async fn reopened(folder: &Path) -> Arc<EmbeddedStore> {
    let since = Stopwatch::start();
    loop {
        match EmbeddedStore::open(folder) {
            Ok(store) => return Arc::new(store),
            Err(error) if error.kind == OpenErrorKind::Locked => {
                assert!(since.elapsed() < Duration::from_secs(30), "it is not let go: {error}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the handler was told became of the token.
pub(crate) fn outcome(answer: &Answer) -> &str {
    answer.header("x-outcome")
}

/// `small` for every day; `full` when `CALLGATE_TEST_SIZE=full`.
pub(crate) fn size<T>(small: T, full: T) -> T {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test run, not of callgate")]
    let asked = std::env::var("CALLGATE_TEST_SIZE");
    if asked.is_ok_and(|asked| asked == "full") { full } else { small }
}
