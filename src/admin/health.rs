//! Health of the gate: whether it can serve, from the state of the store and of shutdown, and with
//! which table.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex as Lock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::Mutex;

use crate::base::Clock;
use crate::base::Timestamp;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::port::Guarantees;

/// How long a result of the store is reused, so that frequent probes do not load it.
const FRESH: Duration = Duration::from_secs(1);
/// Timeout of the store for one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the gate.
pub struct GateHealth {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    table: Lock<TableState>,
    stopping: AtomicBool,
    last: LastAnswer,
}

/// The last result of the store, and its time. Concurrent probes wait for one result.
#[derive(Default)]
struct LastAnswer(Mutex<Option<(Timestamp, Result<Guarantees, String>)>>);

/// The state of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// The rows of the table in use.
    pub rows: usize,
    /// The generation of the table in use, counted from 1.
    pub generation: u64,
    /// Why the newest table is not in use; `None` while it is.
    pub refused: Option<Refusal>,
}

/// Why a new table was refused. The old one stays in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it was checked.
    pub at: Timestamp,
    /// What is wrong, in lines that begin with `file:line:column`. Their number and length are
    /// limited.
    pub problems: Vec<String>,
}

/// The response to `/readyz`.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Whether requests can be served.
    pub ready: bool,
    stopping: bool,
    table: TableState,
    store: Result<Guarantees, String>,
}

impl GateHealth {
    /// Monitors `store`; `table` is the state of the table in use.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, table: TableState) -> Self {
        let (table, stopping) = (Lock::new(table), AtomicBool::new(false));
        Self { store, clock, table, stopping, last: LastAnswer::default() }
    }

    /// The state of the table.
    pub fn table(&self) -> TableState {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that another table is in use. It must be called after requests are handled by that
    /// table, because clients rely on the generation that they read here.
    pub fn table_taken(&self, rows: usize, generation: u64) {
        let state = TableState { rows, generation, refused: None };
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Records that the newest table was refused; `None` records that the newest table is in use.
    pub fn table_refused(&self, problems: Option<Vec<String>>) {
        let refused = problems.map(|problems| Refusal { at: self.clock.now(), problems });
        self.table.lock().unwrap_or_else(PoisonError::into_inner).refused = refused;
    }

    /// Makes the gate report that it is not ready: it finishes the requests it has.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The current state.
    pub async fn report(&self) -> Readiness {
        let stopping = self.stopping.load(Ordering::Acquire);
        let store = self.last.or_ask(&*self.clock, self.store.self_check()).await;
        Readiness { ready: !stopping && store.is_ok(), stopping, table: self.table(), store }
    }
}

impl LastAnswer {
    /// The recent result if it is fresh, otherwise the result of `asking` within the timeout.
    async fn or_ask(
        &self,
        clock: &dyn Clock,
        asking: impl Future<Output = Result<Guarantees, StoreError>>,
    ) -> Result<Guarantees, String> {
        let mut last = self.0.lock().await;
        let now = clock.now();
        if let Some((at, answer)) = &*last
            && now >= *at
            && now.since(*at) < FRESH
        {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PROBE_TIMEOUT, asking).await {
            Ok(Ok(guarantees)) => Ok(guarantees),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store did not answer in time".to_owned()),
        };
        // The time of the result, not of the request: the two may be further apart than a result
        // stays fresh.
        *last = Some((clock.now(), answer.clone()));
        answer
    }
}

impl fmt::Debug for GateHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateHealth").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

impl Readiness {
    /// The body of the response: states and counts and, in detail, the guarantees of the store and
    /// the problems of the table, which contain paths and addresses.
    pub fn to_json(&self, in_detail: bool) -> Value {
        let store = match &self.store {
            Ok(store) => {
                let lacks: Vec<String> = store.lacks.iter().map(ToString::to_string).collect();
                json!({
                    "name": store.store,
                    "ok": true,
                    "survivesCrash": store.survives_crash,
                    "survivesPowerLoss": store.survives_power_loss,
                    "shared": store.shared,
                    "lacks": if in_detail { json!(lacks) } else { json!(lacks.len()) },
                })
            }
            Err(why) if in_detail => json!({ "ok": false, "why": why }),
            Err(_) => json!({ "ok": false }),
        };
        let TableState { rows, generation, refused } = &self.table;
        let refused = refused.as_ref().map(|Refusal { at, problems }| {
            let problems = if in_detail { json!(problems) } else { json!(problems.len()) };
            json!({ "at": at.to_string(), "problems": problems })
        });
        json!({
            "ready": self.ready,
            "stopping": self.stopping,
            "table": { "rows": rows, "generation": generation, "refused": refused },
            "store": store,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use std::sync::atomic::AtomicU32;

    #[tokio::test(start_paused = true)]
    async fn probes_of_a_store_that_hangs_do_not_queue() {
        let (last, clock, asked) =
            (LastAnswer::default(), ManualClock::default(), AtomicU32::new(0));
        let hangs = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            clock.advance(PROBE_TIMEOUT);
            std::future::pending().await
        };
        let both = (last.or_ask(&clock, hangs()), last.or_ask(&clock, hangs()));
        let (one, other) = tokio::join!(both.0, both.1);
        assert!(one.is_err() && other.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1, "who waited along has his answer");
        clock.advance(FRESH);
        assert!(last.or_ask(&clock, hangs()).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
