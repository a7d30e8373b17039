//! The bounds of a listener and of the requests on it that a settings file may move.

use std::time::Duration;

/// What one client may cost (SEC D.1, D.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; default 10,000.
    pub connections: usize,
    /// Bytes of all headers of a request together; default 32 KiB, then 431.
    pub header_bytes: usize,
    /// Headers of a request; default 100, then 431.
    pub headers: usize,
    /// Bytes of a request target; default 8,192, then 414 (RFC 9110 §4.1 asks for 8,000).
    pub target_bytes: usize,
    /// Bytes of a body, unless the row says otherwise; default 1 MiB, then 413.
    pub body_bytes: u64,
    /// How long a new connection may stay silent; default 5 s.
    pub first_byte: Duration,
    /// How long the headers of a request may take, and how long an idle connection is kept;
    /// default 15 s.
    pub header: Duration,
    /// How long a body may take; default 60 s.
    pub body: Duration,
    /// How long a handler may take, unless the row says otherwise; default 30 s.
    pub handler: Duration,
    /// Requests on one connection before it is closed; default 1,000.
    pub requests_per_connection: usize,
    /// Age at which a connection is closed at the next opportunity; default 1 h.
    pub connection_age: Duration,
    /// How long a client may take no byte of an answer; default 30 s.
    pub write_stall: Duration,
    /// HTTP/2 requests under way on one connection; default 100.
    pub streams: u32,
    /// How long requests under way have to end when the server is told to stop; default 25 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_bytes: 32 * 1024,
            headers: 100,
            target_bytes: 8_192,
            body_bytes: 1024 * 1024,
            first_byte: Duration::from_secs(5),
            header: Duration::from_secs(15),
            body: Duration::from_mins(1),
            handler: Duration::from_secs(30),
            requests_per_connection: 1_000,
            connection_age: Duration::from_hours(1),
            write_stall: Duration::from_secs(30),
            streams: 100,
            drain: Duration::from_secs(25),
        }
    }
}
