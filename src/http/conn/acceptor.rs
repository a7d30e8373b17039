//! Where connections come in: how many, from whom, and whether they are encrypted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::http::conn::certificates::BadCertificate;
use crate::http::conn::certificates::Certificates;
use crate::http::conn::connection_limit::Crowd;
use crate::http::conn::connection_limit::Place;
use crate::http::conn::connection_limit::Spared;
use crate::http::conn::server::Config;

/// A listener's entrance. It counts across everything that is served through it.
pub struct Acceptor {
    pub(crate) config: Config,
    permits: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    tls: Option<TlsAcceptor>,
}

/// A client that has been let in.
pub(crate) struct Admitted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) seat: Seat,
}

/// What a connection takes up; free again when this is dropped.
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// How full it is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowding {
    /// Connections that are open.
    pub open: usize,
    /// Connections that were closed at once since the start, because their address had as many as
    /// it may.
    pub turned_away: u64,
}

impl Acceptor {
    /// An entrance for plain connections; those of `spared` addresses are not counted by address.
    pub fn new(config: Config, spared: Spared) -> Self {
        let permits = Arc::new(Semaphore::new(config.connections_max));
        let crowd = Crowd::new(config.connections_per_address_max, spared);
        Self { config, permits, crowd, tls: None }
    }

    /// The same for connections that are encrypted.
    pub fn encrypted(self, certificates: &Arc<Certificates>) -> Result<Self, BadCertificate> {
        let server = certificates.server().map_err(BadCertificate::Unavailable)?;
        Ok(Self { tls: Some(Arc::new(server).into()), ..self })
    }

    /// How full it is now.
    pub fn crowding(&self) -> Crowding {
        Crowding { open: self.crowd.open(), turned_away: self.crowd.turned_away() }
    }

    /// How connections shake hands; `None` when they are plain.
    pub(crate) fn tls(&self) -> Option<&TlsAcceptor> {
        self.tls.as_ref()
    }

    /// The next client; `None` when he had to be turned away. Waits for room first, so that more
    /// than the limit stay in the kernel's queue.
    pub(crate) async fn admit(&self, listener: &TcpListener) -> io::Result<Option<Admitted>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        let place = self.crowd.enter(peer.ip());
        let seat = |place| Seat { _permit: permit, _place: place };
        Ok(place.map(seat).map(|seat| Admitted { stream, peer, seat }))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("config", &self.config).finish_non_exhaustive()
    }
}
