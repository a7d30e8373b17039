//! Fail points of the probe server: one place at a time is armed, by a request.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use callgate::IncomingMessage;
use callgate::Session;
use callgate::base::failpoint;
use callgate::base::failpoint::Place;
use callgate::http::HandlerError;
use serde_json::Value;
use serde_json::json;

use crate::Control;
use crate::query;

/// How long a place holds the work up.
const DELAY: Duration = Duration::from_millis(30);

/// The place that is armed, and what happens there.
static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

struct Armed {
    place: Place,
    kind: Kind,
    /// How often it is passed before anything happens.
    skip: u32,
    /// How often something happens then.
    times: u32,
    hits: u32,
}

#[derive(Clone, Copy)]
enum Kind {
    Abort,
    Fail,
    Delay,
}

/// Has the places of callgate ask what is armed.
pub(crate) fn install() {
    assert!(failpoint::install(Box::new(reached)), "somebody else holds the fail points");
}

fn armed() -> MutexGuard<'static, Option<Armed>> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reached(place: Place) -> bool {
    let kind = {
        let mut armed = armed();
        let Some(armed) = armed.as_mut().filter(|armed| armed.place == place) else { return true };
        if armed.skip > 0 {
            armed.skip -= 1;
            return true;
        }
        if armed.hits == armed.times {
            return true;
        }
        armed.hits += 1;
        armed.kind
    };
    match kind {
        #[expect(clippy::disallowed_methods, reason = "a crash is what is tested")]
        Kind::Abort => std::process::abort(),
        Kind::Fail => false,
        Kind::Delay => {
            // As a slow disk or a busy machine would hold this very thread up.
            std::thread::park_timeout(DELAY);
            true
        }
    }
}

/// Arms a place.
pub(crate) async fn arm(
    _: Arc<Control>,
    request: IncomingMessage,
    _: Session,
) -> Result<(), HandlerError> {
    let name = query(&request, "place");
    let place = Place::ALL.into_iter().find(|place| place.to_string() == name);
    let place = place.ok_or_else(|| HandlerError::new(format!("no such place: {name}")))?;
    let kind = match query(&request, "kind") {
        "abort" => Kind::Abort,
        "fail" => Kind::Fail,
        "delay" => Kind::Delay,
        other => return Err(HandlerError::new(format!("no such kind: {other}"))),
    };
    let (skip, times) = (query(&request, "skip").parse()?, query(&request, "times").parse()?);
    *armed() = Some(Armed { place, kind, skip, times, hits: 0 });
    Ok(())
}

/// Disarms; how often something happened.
pub(crate) async fn disarm(
    _: Arc<Control>,
    _: IncomingMessage,
    _: Session,
) -> Result<Value, HandlerError> {
    Ok(json!(armed().take().map_or(0, |armed| armed.hits)))
}
