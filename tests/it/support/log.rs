//! What callgate logs on the thread of a test.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged, as lines of JSON.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Ends the capture when it is dropped.
pub(crate) struct Capture {
    _guard: DefaultGuard,
    _second: tracing::Dispatch,
}

impl Log {
    /// Captures what this thread logs from now on.
    pub(crate) fn capture() -> (Self, Capture) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish();
        // While there is only one subscriber, tracing asks the thread that logs a line first
        // whether anybody wants it, and the threads of other tests say no. With two it asks both.
        let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let guard = tracing::subscriber::set_default(subscriber);
        (log, Capture { _guard: guard, _second: second })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines, each with its `level`, `target` and `fields`.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The fields of the lines with this event, or of the access lines for `request`.
    pub(crate) fn of(&self, event: &str) -> Vec<Value> {
        let is = |line: &Value| match event {
            "request" => line["target"] == "callgate::access",
            event => line["fields"]["event"] == event,
        };
        self.lines().into_iter().filter(is).map(|line| line["fields"].clone()).collect()
    }

    /// Fails unless each of these events was logged.
    pub(crate) fn has(&self, events: &[&str]) {
        for event in events {
            assert!(!self.of(event).is_empty(), "{event} was not logged:\n{}", self.text());
        }
    }

    /// The lines of this level.
    pub(crate) fn at(&self, level: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["level"] == level).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
