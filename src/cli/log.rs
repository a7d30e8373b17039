//! The log of the running server: JSON lines, or text where a person reads along.

use std::io::IsTerminal;
use std::panic;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tracing_subscriber::filter::LevelFilter;

use crate::base::masked::masked;
use crate::settings::LogFormat;
use crate::settings::Settings;

/// Longest text of a panic that is logged.
const PANIC_BYTES_MAX: usize = 1024;

/// Whether the log was begun with `log.format = "json"`, so that even the reason for which the
/// program ends is to be a line of JSON.
static JSON_ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// See [`JSON_ASKED_FOR`].
pub(super) fn every_line_is_json() -> bool {
    JSON_ASKED_FOR.load(Ordering::Relaxed)
}

/// Whether every line on standard error is JSON.
pub(super) fn is_json(settings: &Settings) -> bool {
    match settings.log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    }
}

/// Begins to log to standard error, panics too. A second call changes nothing.
pub(super) fn start(settings: &Settings) {
    let json = is_json(settings);
    JSON_ASKED_FOR.store(settings.log.format == LogFormat::Json, Ordering::Relaxed);
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::from_level(settings.log.level));
    // Whoever embeds callgate may have set up a log of his own; that one stays.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let why = masked(panic.payload_as_str().unwrap_or("no text"), PANIC_BYTES_MAX);
        tracing::error!(event = "panic", place, why = &*why);
    }));
}
