//! callgate's own modules: what a class sees beside the language itself.

/// What the names of callgate's own modules begin with. Only they can import one another.
pub(super) const OWN: &str = "callgate/";
/// The module that puts the others together.
pub(super) const MAIN: &str = "callgate/main";

/// The text of one of callgate's own modules. `callgate` is the one that classes import.
pub(super) fn module(name: &str) -> Option<&'static str> {
    Some(match name {
        "callgate" => include_str!("callgate.js"),
        MAIN => include_str!("main.js"),
        "callgate/message" => include_str!("message.js"),
        "callgate/request" => include_str!("request.js"),
        "callgate/session" => include_str!("session.js"),
        "callgate/timers" => include_str!("timers.js"),
        _ => return None,
    })
}
