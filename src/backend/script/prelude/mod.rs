//! callgate's own JavaScript modules, which define what a class can use beside the language itself.

/// Prefix of the names of callgate's own modules. Only they can import one another.
pub(super) const OWN: &str = "callgate/";
/// The module that initializes the others.
pub(super) const MAIN: &str = "callgate/main";

/// The text of one of callgate's own modules. Classes import `callgate`.
pub(super) fn module(name: &str) -> Option<&'static str> {
    Some(match name {
        "callgate" => include_str!("callgate.js"),
        MAIN => include_str!("main.js"),
        "callgate/abort" => include_str!("web/abort.js"),
        "callgate/check" => include_str!("check.js"),
        "callgate/clone" => include_str!("web/clone.js"),
        "callgate/console" => include_str!("web/console.js"),
        "callgate/crypto" => include_str!("web/crypto.js"),
        "callgate/fetch" => include_str!("web/fetch.js"),
        "callgate/headers" => include_str!("web/headers.js"),
        "callgate/host" => include_str!("host.js"),
        "callgate/inspect" => include_str!("inspect.js"),
        "callgate/json" => include_str!("json.js"),
        "callgate/message" => include_str!("message.js"),
        "callgate/request" => include_str!("request.js"),
        "callgate/session" => include_str!("session.js"),
        "callgate/storage" => include_str!("storage.js"),
        "callgate/text" => include_str!("web/text.js"),
        "callgate/timers" => include_str!("web/timers.js"),
        "callgate/url" => include_str!("web/url.js"),
        _ => return None,
    })
}
