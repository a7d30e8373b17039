//! A store in the memory of one process, for tests and demonstrations: a restart loses all of it.

use std::sync::Mutex;

use crate::base::Timestamp;
use crate::store::displaced::Displaced;
use crate::store::error::StoreError;
use crate::store::live::Config;
use crate::store::live::StateMachine;
use crate::store::port::Guarantees;
use crate::store::port::Lack;
use crate::store::port::Operation;
use crate::store::port::Pending;
use crate::store::port::Store;
use crate::store::port::StoreReply;
use crate::store::port::on_records;
use crate::store::records::RecordMap;

/// Keeps everything in the memory of this process.
///
/// Every operation takes one lock for a few microseconds, and nothing is awaited under it. A
/// dropped future has therefore completed its operation or not started it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    displaced: Displaced,
    records: RecordMap,
}

#[derive(Debug)]
struct State {
    machine: StateMachine,
    closed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { machine: StateMachine::new(Config::default()), closed: false }
    }
}

impl MemoryStore {
    /// An empty store of the default size.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store.
    pub fn with(config: Config) -> Self {
        let state = Mutex::new(State { machine: StateMachine::new(config), closed: false });
        Self { state, displaced: Displaced::default(), records: RecordMap::default() }
    }

    /// What every store of this kind guarantees.
    fn guarantees() -> Guarantees {
        Guarantees {
            store: "memory",
            survives_crash: false,
            survives_power_loss: false,
            shared: false,
            notes: Vec::new(),
            lacks: vec![Lack {
                what: "a restart loses every session and every token".to_owned(),
                remedy: "use \"embedded:DIR\" on one machine, redis:// or postgres:// on several"
                    .to_owned(),
            }],
        }
    }
}

impl Store for MemoryStore {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        let operation = match on_records(&self.records, operation) {
            Ok(reply) => return reply,
            Err(other) => other,
        };
        Box::pin(async move {
            // A panic under the lock may have left an operation half applied.
            let mut state = self.state.lock().map_err(|_| {
                StoreError::Corrupt("an operation of the memory store panicked; restart it".into())
            })?;
            match operation {
                Operation::Close => {
                    state.closed = true;
                    self.records.close();
                    return Ok(().into());
                }
                _ if state.closed => return Err(StoreError::Refused("it is closed")),
                Operation::SelfCheck => return Ok(Self::guarantees().into()),
                _ => {}
            }
            let now = state.machine.present(now);
            let decision = state.machine.decide(now, &operation);
            let performed = state.machine.perform(0, decision);
            self.displaced.note(now, performed.displaced());
            performed.answer
        })
    }
}
