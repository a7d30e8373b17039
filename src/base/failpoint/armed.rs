//! Fail points of a build for tests: a hook is asked at each.

use std::sync::OnceLock;

use super::Broken;
use super::Place;

/// Told of every place that is reached, on the thread that reaches it. False makes the work fail.
pub type Hook = Box<dyn Fn(Place) -> bool + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Has `hook` asked from now on; false if there is one already.
pub fn install(hook: Hook) -> bool {
    HOOK.set(hook).is_ok()
}

/// Tells the hook, if there is one.
pub fn reached(place: Place) -> Result<(), Broken> {
    match HOOK.get() {
        Some(hook) if !hook(place) => Err(Broken(place)),
        _ => Ok(()),
    }
}
