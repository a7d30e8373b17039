//! The accept loop, and how all connections end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::conn::acceptor::Acceptor;
pub use crate::http::conn::acceptor::Service;
use crate::http::conn::acceptor::stopped;
use crate::http::conn::connection::connection;

/// Pause after a failed accept, such as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every accepted request got its response.
    Clean,
    /// Some connections were still busy at the end of the drain time.
    CutOff(usize),
}

/// Opens a listener with a queue that is long enough for a burst of clients: with the usual 128,
/// the next one would wait for seconds (docs/SECURITY.md D.1).
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 1024;
    let listener = TcpListener::bind(address).await?;
    // Calling listen again changes only the length of the queue.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Serves connections of `listener` that `entrance` admits until `stop` turns true, then lets them
/// finish.
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
        // During a flood that never leaves the queue empty, finished tasks would otherwise not be
        // removed.
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
    drain(connections, entrance.limits.drain).await
}

async fn drain(mut connections: JoinSet<()>, timeout: Duration) -> Drained {
    let all = async { while connections.join_next().await.is_some() {} };
    match tokio::time::timeout(timeout, all).await {
        Ok(()) => Drained::Clean,
        Err(_) => Drained::CutOff(connections.len()),
    }
}
