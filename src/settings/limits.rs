//! The bounds of a listener and of the requests on it that a settings file may move.

use std::time::Duration;

/// What one client may cost (docs/SECURITY.md D.1, D.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; default 10,000. At most four fifths of the files that the
    /// process may open (`RLIMIT_NOFILE`).
    pub connections: usize,
    /// Connections open at once from one IPv4 address or IPv6 /64, beyond which further ones are
    /// closed at once; 0 is any number. Default 256.
    pub connections_per_address: usize,
    /// Bytes of all headers of a request together; default 32 KiB, then 431.
    pub header_bytes: usize,
    /// Headers of a request; default 100, then 431.
    pub headers: usize,
    /// Bytes of a request target; default 8,192, then 414 (RFC 9110 §4.1 asks for 8,000).
    pub target_bytes: usize,
    /// Bytes of a body, unless the row says otherwise; default 1 MiB, then 413.
    pub body_bytes: u64,
    /// Bytes of a body that a row forwards as it comes, unless the row says otherwise; default
    /// 100 MiB, then 413.
    pub forward_body_bytes: u64,
    /// How long a TLS handshake may take; default 10 s.
    pub handshake: Duration,
    /// How long a new connection may stay silent; default 5 s.
    pub first_byte: Duration,
    /// How long the headers of a request may take, and how long an idle connection is kept;
    /// default 15 s.
    pub header: Duration,
    /// How long a body may take at most; default 60 s. A body gets 20 s, and a second more for
    /// every 500 bytes of it that have come.
    pub body: Duration,
    /// How long a body may pause; default 10 s.
    pub body_gap: Duration,
    /// How long a handler may take, unless the row says otherwise; default 30 s.
    pub handler: Duration,
    /// How long a connection to an upstream may take to be made, name and handshake included;
    /// default 5 s.
    pub connect: Duration,
    /// How long the answer of an upstream may pause; default 60 s.
    pub upstream_gap: Duration,
    /// How long a WebSocket may pass nothing in either direction; default 5 min.
    pub tunnel_idle: Duration,
    /// Requests on one HTTP/1.1 connection before it is closed; default 1,000. An HTTP/2
    /// connection, which is worth many, takes ten times as many.
    pub requests_per_connection: usize,
    /// Age at which a connection is closed at the next opportunity; default 1 h.
    pub connection_age: Duration,
    /// How long a client may take no byte of an answer, or fewer than 500 a second of it; default
    /// 30 s.
    pub write_stall: Duration,
    /// HTTP/2 requests under way on one connection; default 100.
    pub streams: u32,
    /// How long `SIGTERM` lets the server go on as before, but for saying that it is not ready any
    /// more; default 2 s. Only with an internal listener, which alone can say so.
    pub drain_lead: Duration,
    /// How long requests under way have to end when the server is told to stop; default 25 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 256,
            header_bytes: 32 * 1024,
            headers: 100,
            target_bytes: 8_192,
            body_bytes: 1024 * 1024,
            forward_body_bytes: 100 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(5),
            header: Duration::from_secs(15),
            body: Duration::from_mins(1),
            body_gap: Duration::from_secs(10),
            handler: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            upstream_gap: Duration::from_mins(1),
            tunnel_idle: Duration::from_mins(5),
            requests_per_connection: 1_000,
            connection_age: Duration::from_hours(1),
            write_stall: Duration::from_secs(30),
            streams: 100,
            drain_lead: Duration::from_secs(2),
            drain: Duration::from_secs(25),
        }
    }
}
