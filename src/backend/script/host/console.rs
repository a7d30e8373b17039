//! The host function of `console`: writes a log event.

use std::rc::Rc;

use rquickjs::Function;

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::isolate::call::Call;
use crate::backend::script::isolate::operations::Operations;
use crate::base::text::masked::masked;

/// Longest line; longer ones are truncated.
const LINE_BYTES_MAX: usize = 8 * 1024;

pub(super) fn bind(bindings: &Bindings<'_, '_>) -> rquickjs::Result<()> {
    let operations = Rc::clone(bindings.operations);
    let console = move |level: String, text: String| log(&operations, &level, &text);
    bindings.set("console", Function::new(bindings.ctx.clone(), console)?)
}

fn log(operations: &Operations, level: &str, text: &str) {
    // A class may log anything, including tokens.
    let text = masked(text, LINE_BYTES_MAX);
    let call = operations.current_call();
    let most = operations.environment.limits.console_bytes;
    match call.as_ref().map_or(Quota::Available, |call| charge(call, text.len(), most)) {
        Quota::Available => write(operations, call.as_deref(), level, &text),
        Quota::JustExceeded => {
            let (class, call) = (&*operations.class, call.as_deref());
            let id = call.map(|call| tracing::field::display(call.request.id()));
            let method = call.map(|call| &*call.method);
            tracing::warn!(event = "script.console_full", id, class, method, most);
        }
        Quota::Exceeded => {}
    }
}

/// Writes one line. The level of a tracing macro is fixed at compile time.
fn write(operations: &Operations, call: Option<&Call>, level: &str, text: &str) {
    let class = &*operations.class;
    let id = call.map(|call| tracing::field::display(call.request.id()));
    let method = call.map(|call| &*call.method);
    match level {
        "debug" => tracing::debug!(event = "script.console", id, class, method, "{text}"),
        "warn" => tracing::warn!(event = "script.console", id, class, method, "{text}"),
        "error" => tracing::error!(event = "script.console", id, class, method, "{text}"),
        _ => tracing::info!(event = "script.console", id, class, method, "{text}"),
    }
}

/// Whether a call may write another line.
enum Quota {
    Available,
    /// The limit is exceeded by this line.
    JustExceeded,
    Exceeded,
}

fn charge(call: &Call, bytes: usize, most: usize) -> Quota {
    let before = call.console_bytes.get();
    // An empty line counts, too.
    let after = before.saturating_add(bytes).saturating_add(1);
    call.console_bytes.set(after.max(before));
    match (before > most, after > most) {
        (true, _) => Quota::Exceeded,
        (false, true) => Quota::JustExceeded,
        (false, false) => Quota::Available,
    }
}
