//! Whether the gate can serve, from what the store says and whether it is stopping.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::Mutex;

use crate::base::Clock;
use crate::base::Timestamp;
use crate::store::Store;
use crate::store::port::Guarantees;

/// How long an answer of the store is taken for true, so that probes cost it nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known about the state of the gate.
pub struct Health {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rows: usize,
    stopping: AtomicBool,
    last: Mutex<Option<(Timestamp, Result<Guarantees, String>)>>,
}

/// One answer to `/readyz`.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whether requests can be served.
    pub ready: bool,
    stopping: bool,
    rows: usize,
    store: Result<Guarantees, String>,
}

impl Health {
    /// Watches `store`; `rows` is the size of the table in use.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, rows: usize) -> Self {
        Self { store, clock, rows, stopping: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From now on the gate is not ready: it finishes what it has.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What is true now.
    pub async fn report(&self) -> Report {
        let stopping = self.stopping.load(Ordering::Acquire);
        let store = self.ask().await;
        Report { ready: !stopping && store.is_ok(), stopping, rows: self.rows, store }
    }

    async fn ask(&self) -> Result<Guarantees, String> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some((at, answer)) = &*last
            && now >= *at
            && now.since(*at) < FRESH
        {
            return answer.clone();
        }
        let asked = tokio::time::timeout(PATIENCE, self.store.self_check()).await;
        let answer = match asked {
            Ok(Ok(guarantees)) => Ok(guarantees),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store did not answer in time".to_owned()),
        };
        *last = Some((now, answer.clone()));
        answer
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

impl Report {
    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let store = match &self.store {
            Ok(store) => json!({
                "name": store.store,
                "ok": true,
                "survivesCrash": store.survives_crash,
                "survivesPowerLoss": store.survives_power_loss,
                "shared": store.shared,
            }),
            Err(why) => json!({ "ok": false, "why": why }),
        };
        json!({
            "ready": self.ready,
            "stopping": self.stopping,
            "table": { "rows": self.rows },
            "store": store,
        })
    }
}
