//! What `console` asks of the host: a line in the log.

use std::rc::Rc;

use rquickjs::Function;

use crate::backend::script::call::Call;
use crate::backend::script::desk::Desk;
use crate::backend::script::host::shelf::Shelf;
use crate::base::masked::masked;

/// Longest line; the rest of it is cut off.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Writes one line, at the level that the console was asked for: which one is known at run time
/// only, and the macros of the log want to know it before.
macro_rules! line {
    ($level:expr, $($field:tt)*) => {
        match $level {
            "debug" => tracing::debug!($($field)*),
            "warn" => tracing::warn!($($field)*),
            "error" => tracing::error!($($field)*),
            _ => tracing::info!($($field)*),
        }
    };
}

pub(super) fn put(shelf: &Shelf<'_, '_>) -> rquickjs::Result<()> {
    let desk = Rc::clone(shelf.desk);
    let say = move |level: String, text: String| say(&desk, &level, &text);
    shelf.put("console", Function::new(shelf.ctx.clone(), say)?)
}

fn say(desk: &Desk, level: &str, text: &str) {
    let class = &*desk.class;
    // A class may say anything, the token of its visitor too.
    let text = masked(text, LINE_BYTES_MAX);
    let Some(call) = desk.running() else {
        line!(level, event = "script.console", class, "{text}");
        return;
    };
    let (id, method) = (call.request.id(), &*call.method);
    match room(&call, text.len(), desk.environment.limits.console_bytes) {
        Room::Enough => line!(level, event = "script.console", %id, class, method, "{text}"),
        Room::Spent => {
            let most = desk.environment.limits.console_bytes;
            tracing::warn!(event = "script.console_full", %id, class, method, most);
        }
        Room::None => {}
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
