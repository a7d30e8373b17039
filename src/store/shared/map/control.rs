//! What tests do to the engine in memory as a whole.

use std::sync::Mutex;

use crate::store::records::RecordMap;
use crate::store::shared::map::MapEngine;
use crate::store::shared::map::State;

impl MapEngine {
    /// An empty engine that ignores fences, as a control.
    pub fn without_fence() -> Self {
        Self(Mutex::new(State { unfenced: true, ..State::default() }), RecordMap::default())
    }

    /// The state of a replica that has received everything up to now.
    pub fn snapshot(&self) -> State {
        self.state().clone()
    }

    /// A replica with this state takes over, and every write since is lost.
    pub fn fail_over(&self, to: State) {
        let mut state = self.state();
        let incarnation = state.incarnation + 1;
        *state = State { incarnation, ..to };
    }
}
