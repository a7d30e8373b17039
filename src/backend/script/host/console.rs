//! What `console` asks of the host: a line in the log.

use std::rc::Rc;

use rquickjs::Function;

use crate::backend::script::call::Call;
use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::operations::Operations;
use crate::base::masked::masked;

/// Longest line; the rest of it is cut off.
const LINE_BYTES_MAX: usize = 8 * 1024;

pub(super) fn bind(bindings: &Bindings<'_, '_>) -> rquickjs::Result<()> {
    let operations = Rc::clone(bindings.operations);
    let say = move |level: String, text: String| say(&operations, &level, &text);
    bindings.set("console", Function::new(bindings.ctx.clone(), say)?)
}

fn say(operations: &Operations, level: &str, text: &str) {
    // A class may say anything, the token of its visitor too.
    let text = masked(text, LINE_BYTES_MAX);
    let call = operations.current_call();
    let most = operations.environment.limits.console_bytes;
    match call.as_ref().map_or(Room::Enough, |call| room(call, text.len(), most)) {
        Room::Enough => write(operations, call.as_deref(), level, &text),
        Room::Spent => {
            let (class, call) = (&*operations.class, call.as_deref());
            let id = call.map(|call| tracing::field::display(call.request.id()));
            let method = call.map(|call| &*call.method);
            tracing::warn!(event = "script.console_full", id, class, method, most);
        }
        Room::None => {}
    }
}

/// Writes one line. The macros of the log want to know its level beforehand.
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

/// Whether a call may say one more thing.
enum Room {
    Enough,
    /// Not any more, from this line on.
    Spent,
    None,
}

fn room(call: &Call, bytes: usize, most: usize) -> Room {
    let said = call.console_bytes.get();
    // A line costs something even when it says nothing.
    let after = said.saturating_add(bytes).saturating_add(1);
    call.console_bytes.set(after.max(said));
    match (said > most, after > most) {
        (true, _) => Room::None,
        (false, true) => Room::Spent,
        (false, false) => Room::Enough,
    }
}
