//! How a row treats repeats of a callback.

use std::time::Duration;

use crate::base::limits::REPEAT_SECS_MAX;
use crate::table::check::Diagnostics;
use crate::table::fields::Fields;
use crate::table::problem::Flaw;

/// The properties `repeat` and `onInterrupted` of a row (docs/CONTRACT.md §6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatRule {
    /// How long after the redemption a repeat gets the stored response.
    pub window: Duration,
    /// What a repeat gets when the first run was cut off.
    pub on_interrupted: OnInterrupted,
}

/// What a repeat gets when the node failed during the first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupted {
    /// 409: it is unknown how far the handler came.
    #[default]
    Refuse,
    /// The handler runs again; it is declared safe to run twice.
    Run,
}

/// Reads both properties.
pub(crate) fn read(notes: &mut Diagnostics<'_>, fields: &mut Fields<'_>) -> Option<RepeatRule> {
    let repeat = fields.take("repeat");
    let interrupted = fields.take("onInterrupted");
    let on_interrupted = interrupted.as_ref().map(|value| {
        let read = value.text("onInterrupted").and_then(|text| match text {
            "run" => Ok(OnInterrupted::Run),
            _ => Err(Flaw::new(
                "unknown-on-interrupted",
                format!("unknown onInterrupted {text:?}"),
                "write \"run\", or leave it out",
            )),
        });
        notes.keep(&value.span, read).unwrap_or_default()
    });
    if let (None, Some(value)) = (&repeat, &interrupted) {
        let what = "\"onInterrupted\" says nothing without \"repeat\"";
        let fix = "add \"repeat\" with a number of seconds, or remove it";
        notes.warn(&value.span, Flaw::new("no-repeat", what, fix));
    }
    let value = repeat?;
    let secs = notes.keep(&value.span, value.quantity("repeat", "seconds", 1..=REPEAT_SECS_MAX))?;
    let on_interrupted = on_interrupted.unwrap_or_default();
    Some(RepeatRule { window: Duration::from_secs(secs), on_interrupted })
}
