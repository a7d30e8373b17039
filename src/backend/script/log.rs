//! Log events about the calls of one class.

use std::{collections::BTreeMap, sync::Arc};

use crate::backend::Budgets;
use crate::backend::script::engine::cpu_budget::Stopped;
use crate::backend::script::engine::thrown::{SourceLocation, Thrown};
use crate::backend::script::isolate::call::Call;
use crate::backend::script::source::class_info::ClassInfo;
use crate::base::RequestId;

/// Logs events of one class.
pub(super) struct Log {
    class: Arc<str>,
    limits: Budgets,
    /// The locations of its functions.
    functions: BTreeMap<String, SourceLocation>,
}

impl Log {
    pub(super) fn new(class: Arc<str>, limits: &Budgets, info: &ClassInfo) -> Self {
        let functions = info.functions.iter().flatten();
        let functions = functions
            .filter_map(|function| Some((function.name.clone(), function.place.clone()?)))
            .collect();
        Self { class, limits: limits.clone(), functions }
    }

    /// The location of the exception, or else that of the called function.
    pub(super) fn place<'l>(
        &'l self,
        call: &Call,
        thrown: Option<&'l Thrown>,
    ) -> Option<&'l SourceLocation> {
        let thrown = thrown.and_then(|thrown| thrown.place.as_ref());
        thrown.or_else(|| self.functions.get(&*call.method))
    }

    /// A call threw, or returned a value that cannot be sent.
    pub(super) fn failed(&self, call: &Call, thrown: &Thrown) {
        let (class, method, id) = (&*self.class, &*call.method, call.request.id());
        let (file, line, column) = parts(self.place(call, Some(thrown)));
        let text = &thrown.text;
        tracing::error!(event = "script.raised", %id, class, method, file, line, column, "{text}");
    }

    /// A call exceeded a limit. Returns the text of the error.
    pub(super) fn stopped(&self, call: &Call, why: Stopped, thrown: Option<&Thrown>) -> String {
        let (class, method, id) = (&*self.class, &*call.method, call.request.id());
        let why = match why {
            Stopped::Cpu => {
                let most = self.limits.cpu;
                format!("{class}.{method} used more than {most:?} of processor time")
            }
            Stopped::Cancelled => {
                format!("{class}.{method} ran on when nobody waited for its answer")
            }
            Stopped::Memory => {
                let most = self.limits.heap_bytes / 4;
                format!("{class}.{method} waits and holds more than {most} bytes meanwhile")
            }
        };
        let place = self.place(call, thrown);
        let (file, line, column) = parts(place);
        tracing::error!(event = "script.stopped", %id, class, method, file, line, column, "{why}");
        place.map_or_else(|| why.clone(), |place| format!("{why} ({place})"))
    }

    /// A call had not settled when it timed out or its client disconnected. Logged by the task that
    /// waits for it, because the thread of the class may be busy.
    pub(super) fn abandoned(&self, method: &str, id: RequestId) {
        let (class, place) = (&*self.class, self.functions.get(method));
        let (file, line, column) = parts(place);
        tracing::warn!(event = "script.abandoned", %id, class, method, file, line, column);
    }

    /// A call has ended. Logged only if it used much CPU time.
    pub(super) fn slow(&self, call: &Call) {
        if call.used.get() < self.limits.cpu / 4 {
            return;
        }
        let (class, method, id) = (&*self.class, &*call.method, call.request.id());
        let ms = u64::try_from(call.used.get().as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(event = "script.slow", %id, class, method, ms);
    }

    /// The engine of the class was replaced and the state on `this` is lost.
    pub(super) fn restarted(&self, why: &str) {
        tracing::error!(event = "script.restarted", class = &*self.class, "{why}");
    }
}

fn parts(place: Option<&SourceLocation>) -> (Option<&str>, Option<u32>, Option<u32>) {
    (
        place.map(|place| &*place.file),
        place.map(|place| place.line),
        place.map(|place| place.column),
    )
}
