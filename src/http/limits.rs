//! The bounds of a listener and of the requests on it that are settings; those that are constants
//! are in [`base::limits`](crate::base::limits).

use std::time::Duration;

use crate::base::limits::ROW_BODY_BYTES_MAX;
use crate::base::setting::Seconds;
use crate::base::setting::settings;
use crate::http::message::body::incoming::Pace;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const HOUR_SECS: u64 = 3600;
const DAY_SECS: u64 = 24 * HOUR_SECS;
/// HTTP/2 requests of one connection for each that HTTP/1.1 may have.
const H2_REQUESTS_FACTOR: u64 = 10;

settings! {
    /// What one client may cost (docs/SECURITY.md D.1, D.2).
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Limits {
        /// Connections open at once; further ones wait. Each needs a file descriptor: four fifths
        /// of those that the process may open (ulimit -n) are the most.
        connections: usize = 10_000, in 1..=1_000_000;
        /// Connections open at once from one address (IPv6: from one /64); further ones are closed.
        /// 0 is any number, and so is `rate_limits = "off"`; `trusted_proxies` are not counted.
        connections_per_address: usize = 256, in 0..=1_000_000;
        /// Bytes of all headers of a request together; more is answered 431.
        header_bytes: usize = 32 * KIB, in 8 * KIB..=128 * KIB;
        /// Headers of a request; more is answered 431.
        headers: usize = 100, in 32..=200;
        /// Bytes of a request's path and query; more is answered 414.
        target_bytes: usize = 8 * KIB, in 2 * KIB..=32 * KIB;
        /// Bytes of a request's body, unless its row says otherwise; more is answered 413.
        body_bytes: u64 = MIB, in 1..=ROW_BODY_BYTES_MAX;
        /// The same for rows that forward, whose bodies are passed on as they come and kept
        /// nowhere. A body that may hold a token is read first, within `body_bytes`.
        forward_body_bytes: u64 = 100 * MIB, in 1..=64 * 1024 * MIB;
        /// Seconds a TLS handshake may take.
        handshake as "handshake_secs": Duration as Seconds = 10, in 2..=60;
        /// Seconds a new connection may stay silent.
        first_byte as "first_byte_secs": Duration as Seconds = 5, in 1..=30;
        /// Seconds the headers of a request may take; also how long an idle connection is kept.
        header as "header_secs": Duration as Seconds = 15, in 2..=120;
        /// Seconds the body of a request may take at most; it gets 20, and one more per 500 bytes
        /// that came.
        body as "body_secs": Duration as Seconds = 60, in 1..=HOUR_SECS;
        /// Seconds the body of a request may pause.
        body_gap as "body_gap_secs": Duration as Seconds = 10, in 1..=HOUR_SECS;
        /// Seconds a handler may take, unless its row says otherwise.
        handler as "handler_secs": Duration as Seconds = 30, in 1..=600;
        /// Requests answered on one connection before it is closed; ten times as many over HTTP/2.
        requests_per_connection: usize = 1_000, in 1..=1_000_000;
        /// Seconds after which a connection is closed at the next opportunity.
        connection_age as "connection_age_secs": Duration as Seconds
            = HOUR_SECS, in 1..=7 * DAY_SECS;
        /// Seconds a client may take no byte of a response, or fewer than 500 a second, before it
        /// is cut off.
        write_stall as "write_stall_secs": Duration as Seconds = 30, in 1..=600;
        /// HTTP/2 requests under way on one connection.
        streams: u32 = 100, in 1..=1_000;
        /// Seconds that SIGTERM leaves the server at work while /readyz says no already.
        drain_lead as "drain_lead_secs": Duration as Seconds = 2, in 0..=60;
        /// Seconds that requests under way have to end after the server is told to stop.
        drain as "drain_secs": Duration as Seconds = 25, in 0..=600;
    }
}

impl Limits {
    /// How fast a body must arrive.
    pub(crate) fn pace(&self) -> Pace {
        Pace { most: self.body, gap: self.body_gap }
    }

    /// Bytes of the header fields of an HTTP/2 request as RFC 9113 §6.5.2 counts them, cookies left
    /// aside.
    pub(crate) fn list_bytes(&self) -> usize {
        self.header_bytes / 2
    }

    /// Requests of one HTTP/2 connection (docs/SECURITY.md D.2).
    pub(crate) fn h2_requests(&self) -> u64 {
        self.requests_per_connection as u64 * H2_REQUESTS_FACTOR
    }
}
