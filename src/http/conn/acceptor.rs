//! Accepting connections: how many, from which addresses, and with or without TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

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
use crate::http::limits::Limits;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::conn_info::ConnInfo;

/// Responds to the requests of all connections. Failures are responses too.
pub trait Service: Send + Sync + 'static {
    /// Responds to one request of this connection.
    fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// Accepts the connections of a listener. Its limits cover all listeners that share it.
pub struct Acceptor {
    pub(crate) limits: Limits,
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

/// The permit of a connection, released when this is dropped.
pub(crate) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _place: AddressSlot,
}

/// The number of connections, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that are open.
    pub open: usize,
    /// Connections that were closed at once since the start, because their address had reached its
    /// limit.
    pub turned_away: u64,
}

impl Acceptor {
    /// Accepts plain connections. Those of `spared` addresses are not counted by address.
    pub fn new(limits: Limits, spared: Spared) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        let limit = ConnectionLimit::new(limits.connections_per_address, spared);
        Self { limits, permits, limit, tls: None }
    }

    /// Accepts encrypted connections with these certificates instead.
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
        f.debug_struct("Acceptor").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Completes once the server must end.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender cannot send a stop any more, which means that the server must end.
    let _ = stop.wait_for(|stop| *stop).await;
}
