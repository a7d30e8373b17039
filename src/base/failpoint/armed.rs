//! Fail points of a test build: each one calls the installed hook.

use std::sync::OnceLock;

use super::Broken;
use super::Place;

/// Called with every fail point that is reached, on the thread that reaches it. False makes the
/// operation fail.
pub type Hook = Box<dyn Fn(Place) -> bool + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Installs `hook`; false if one is installed already.
pub fn install(hook: Hook) -> bool {
    HOOK.set(hook).is_ok()
}

/// Calls the hook, if one is installed.
pub fn reached(place: Place) -> Result<(), Broken> {
    match HOOK.get() {
        Some(hook) if !hook(place) => Err(Broken(place)),
        _ => Ok(()),
    }
}
