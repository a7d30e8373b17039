//! What `console` asks of the host: a line in the log.

use std::rc::Rc;

use rquickjs::Function;

use crate::backend::script::call::Call;
use crate::backend::script::desk::Desk;
use crate::backend::script::host::shelf::Shelf;
use crate::base::masked::masked;

/// Longest line; the rest of it is cut off.
const LINE_BYTES_MAX: usize = 8 * 1024;

pub(super) fn put(shelf: &Shelf<'_, '_>) -> rquickjs::Result<()> {
    let desk = Rc::clone(shelf.desk);
    let say = move |level: String, text: String| say(&desk, &level, &text);
    shelf.put("console", Function::new(shelf.ctx.clone(), say)?)
}

fn say(desk: &Desk, level: &str, text: &str) {
    // A class may say anything, the token of its visitor too.
    let text = masked(text, LINE_BYTES_MAX);
    let call = desk.running();
    let most = desk.environment.limits.console_bytes;
    match call.as_ref().map_or(Room::Enough, |call| room(call, text.len(), most)) {
        Room::Enough => write(desk, call.as_deref(), level, &text),
        Room::Spent => {
            let (class, call) = (&*desk.class, call.as_deref());
            let id = call.map(|call| tracing::field::display(call.request.id()));
            let method = call.map(|call| &*call.method);
            tracing::warn!(event = "script.console_full", id, class, method, most);
        }
        Room::None => {}
    }
}

/// Writes one line. The macros of the log want to know its level beforehand.
fn write(desk: &Desk, call: Option<&Call>, level: &str, text: &str) {
    let class = &*desk.class;
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
    let said = call.said_bytes.get();
    // A line costs something even when it says nothing.
    let after = said.saturating_add(bytes).saturating_add(1);
    call.said_bytes.set(after.max(said));
    match (said > most, after > most) {
        (true, _) => Room::None,
        (false, true) => Room::Spent,
        (false, false) => Room::Enough,
    }
}
