//! Where connections come in: how many, from whom, and whether they are encrypted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::http::conn::certificates::BadCertificate;
use crate::http::conn::certificates::Certificates;
use crate::http::conn::connection_limit::AddressSlot;
use crate::http::conn::connection_limit::ConnectionLimit;
use crate::http::conn::connection_limit::Spared;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::conn_info::ConnInfo;

/// How connections are treated (SEC D.1, D.2).
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections at once; more wait to be accepted. Default 10,000.
    pub connections_max: usize,
    /// Connections at once from one IPv4 address or IPv6 /64; more are closed at once. 0 is any
    /// number. Default 256.
    pub connections_per_address_max: usize,
    /// How long a TLS handshake may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a new connection may say nothing. Default 5 s.
    pub first_byte_timeout: Duration,
    /// How long the header of a request may take, and an idle connection be kept. Default 15 s.
    pub header_timeout: Duration,
    /// Longest header of a request in all. Default 32 KiB.
    pub header_bytes_max: usize,
    /// Header fields of a request. Default 100.
    pub headers_max: usize,
    /// Requests on one HTTP/1.1 connection. Default 1,000.
    pub requests_max: u64,
    /// Requests on one HTTP/2 connection. Default 10,000.
    pub h2_requests_max: u64,
    /// Age at which a connection is asked to end. Default 1 h.
    pub age_max: Duration,
    /// HTTP/2 streams of one connection at once. Default 100.
    pub streams_max: u32,
    /// How long a client may take no byte of a response, or fewer than 500 a second. Default 30 s.
    pub write_stall_timeout: Duration,
    /// How long requests under way may take to finish once the server stops. Default 25 s.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 256,
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(15),
            header_bytes_max: 32 * 1024,
            headers_max: 100,
            requests_max: 1_000,
            h2_requests_max: 10_000,
            age_max: Duration::from_hours(1),
            streams_max: 100,
            write_stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(25),
        }
    }
}

/// Responds to the requests of all connections. Failures are responses too.
pub trait Service: Send + Sync + 'static {
    /// Responds to one request of this connection.
    fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// Accepts the connections of a listener. It counts across all listeners that share it.
pub struct Acceptor {
    pub(crate) config: Config,
    permits: Arc<Semaphore>,
    limit: Arc<ConnectionLimit>,
    tls: Option<TlsAcceptor>,
}

/// A client that was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) permit: ConnectionPermit,
}

/// The permit of a connection; free again when this is dropped.
pub(crate) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _place: AddressSlot,
}

/// The number of connections, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that are open.
    pub open: usize,
    /// Connections that were closed at once since the start, because their address had as many as
    /// it may.
    pub turned_away: u64,
}

impl Acceptor {
    /// Accepts plain connections; those of `spared` addresses are not counted by address.
    pub fn new(config: Config, spared: Spared) -> Self {
        let permits = Arc::new(Semaphore::new(config.connections_max));
        let limit = ConnectionLimit::new(config.connections_per_address_max, spared);
        Self { config, permits, limit, tls: None }
    }

    /// The same for connections that are encrypted.
    pub fn encrypted(self, certificates: &Arc<Certificates>) -> Result<Self, BadCertificate> {
        let server = certificates.server().map_err(BadCertificate::Unavailable)?;
        Ok(Self { tls: Some(Arc::new(server).into()), ..self })
    }

    /// The number of connections now.
    pub fn connections(&self) -> ConnectionCounts {
        ConnectionCounts { open: self.limit.open(), turned_away: self.limit.turned_away() }
    }

    /// The TLS handshake; `None` when connections are plain.
    pub(crate) fn tls(&self) -> Option<&TlsAcceptor> {
        self.tls.as_ref()
    }

    /// The next client; `None` if its connection was closed at once. Waits for a permit first, so
    /// that further clients stay in the kernel's queue.
    pub(crate) async fn admit(&self, listener: &TcpListener) -> io::Result<Option<Accepted>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        let place = self.limit.enter(peer.ip());
        let permit = |place| ConnectionPermit { _permit: permit, _place: place };
        Ok(place.map(permit).map(|permit| Accepted { stream, peer, permit }))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Completes once the server is to end.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that was dropped cannot send a stop any more, which means the server is to end.
    let _ = stop.wait_for(|stop| *stop).await;
}
