//! Whether the gate can serve, from what the store says and whether it is stopping; and by which
//! table.

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

/// How long an answer of the store is taken for true, so that probes cost it nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known about the state of the gate.
pub struct Health {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    table: Lock<TableState>,
    stopping: AtomicBool,
    last: LastAnswer,
}

/// What the store said last, and when. Probes that come at the same time wait for one answer.
#[derive(Default)]
struct LastAnswer(Mutex<Option<(Timestamp, Result<Guarantees, String>)>>);

/// What is known about the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// The rows of the table in use.
    pub rows: usize,
    /// Which table of this gate is in use, counted from 1.
    pub generation: u64,
    /// Why the newest table is not in use; `None` while it is.
    pub refused: Option<Refusal>,
}

/// Why a new table was not taken. The old one goes on serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it was looked at.
    pub at: Timestamp,
    /// What is wrong, in one line each that begins with `file:line:column`. Both their number and
    /// their length are bounded.
    pub problems: Vec<String>,
}

/// One answer to `/readyz`.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whether requests can be served.
    pub ready: bool,
    stopping: bool,
    table: TableState,
    store: Result<Guarantees, String>,
}

impl Health {
    /// Watches `store`; `table` is the table in use.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, table: TableState) -> Self {
        let (table, stopping) = (Lock::new(table), AtomicBool::new(false));
        Self { store, clock, table, stopping, last: LastAnswer::default() }
    }

    /// What is known about the table.
    pub fn table(&self) -> TableState {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another table is in use. Say so only when requests are answered by it already: whoever has
    /// read a generation here relies on it.
    pub fn table_taken(&self, rows: usize, generation: u64) {
        let state = TableState { rows, generation, refused: None };
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The newest table was not taken, or with `None` there is none but the one in use.
    pub fn table_refused(&self, problems: Option<Vec<String>>) {
        let refused = problems.map(|problems| Refusal { at: self.clock.now(), problems });
        self.table.lock().unwrap_or_else(PoisonError::into_inner).refused = refused;
    }

    /// From now on the gate is not ready: it finishes what it has.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What is true now.
    pub async fn report(&self) -> Report {
        let stopping = self.stopping.load(Ordering::Acquire);
        let store = self.last.or_ask(&*self.clock, self.store.self_check()).await;
        Report { ready: !stopping && store.is_ok(), stopping, table: self.table(), store }
    }
}

impl LastAnswer {
    /// What was said a moment ago, or else what `asking` says in time.
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
        let answer = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(guarantees)) => Ok(guarantees),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store did not answer in time".to_owned()),
        };
        // When it came, not when it was asked for: that may be as long ago as it stays fresh.
        *last = Some((clock.now(), answer.clone()));
        answer
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

impl Report {
    /// The body of the answer: states and counts and, in detail, what the store and the table say
    /// of themselves, which holds paths and addresses.
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
            clock.advance(PATIENCE);
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
