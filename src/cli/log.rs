//! The log of the running server: JSON lines, or text for a terminal.

use std::io::IsTerminal;
use std::panic;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tracing_subscriber::filter::LevelFilter;

use crate::base::text::masked::masked;
use crate::settings::LogFormat;
use crate::settings::Settings;

/// Longest panic message that is logged.
const PANIC_BYTES_MAX: usize = 1024;

/// Whether logging was started with `log.format = "json"`, so that the final error of the program
/// must be a line of JSON, too.
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

/// Starts logging to standard error, including panics. A second call has no effect.
pub(super) fn start(settings: &Settings) {
    let json = is_json(settings);
    JSON_ASKED_FOR.store(settings.log.format == LogFormat::Json, Ordering::Relaxed);
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::from_level(settings.log.level));
    // An embedding program may have installed a subscriber of its own, which is kept.
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
