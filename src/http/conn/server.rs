//! The accept loop: how many connections there may be, and how they all end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::conn::acceptor::Acceptor;
use crate::http::conn::connection::connection;
use crate::http::message::body::outgoing::AnswerBody;
use crate::http::message::conn_info::ConnInfo;

/// Pause after a failed accept, such as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are treated (docs/SECURITY.md D.1, D.2).
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
    /// How long a client may take no byte of an answer, or fewer than 500 a second. Default 30 s.
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

/// Answers the requests of all connections. Failures are answers too.
pub trait Service: Send + Sync + 'static {
    /// Answers one request that came in as `conn` says.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every accepted request was answered.
    Clean,
    /// Some connections were still busy when the time was over.
    CutOff(usize),
}

/// Opens a listener whose queue holds as many clients as come at once on a bad day: the usual 128
/// would leave the next one waiting for seconds (docs/SECURITY.md D.1).
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 1024;
    let listener = TcpListener::bind(address).await?;
    // To listen again changes nothing but the length of the queue.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Serves connections of `listener` that come in through `entrance` until `stop` turns true, then
/// lets them finish.
///
/// A future that is dropped closes every connection at once.
pub async fn serve<S: Service>(
    listener: TcpListener,
    service: Arc<S>,
    entrance: Arc<Acceptor>,
    mut stop: watch::Receiver<bool>,
) -> Drained {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = entrance.admit(&listener) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // A flood that never leaves the queue empty would keep what has ended from being cleared.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(Some(client)) => {
                let (service, entrance) = (Arc::clone(&service), Arc::clone(&entrance));
                let stop = stop.clone();
                connections.spawn(async move {
                    connection(client, service, &entrance, stop).await;
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(event = "server.accept_failed", %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drain(connections, entrance.config.drain_timeout).await
}

async fn drain(mut connections: JoinSet<()>, timeout: Duration) -> Drained {
    let all = async { while connections.join_next().await.is_some() {} };
    match tokio::time::timeout(timeout, all).await {
        Ok(()) => Drained::Clean,
        Err(_) => Drained::CutOff(connections.len()),
    }
}

pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can never say stop; whoever dropped it wants the server to end.
    let _ = stop.wait_for(|stop| *stop).await;
}
