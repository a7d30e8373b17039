//! Makes connections: resolves a name, applies the rule, and connects to a permitted address.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::http::outbound::address::AddressRule;
use crate::http::outbound::error::NoConnection;
use crate::http::outbound::line::UpstreamStream;
use crate::http::outbound::resolve::Resolve;

type ConnectFailed = Box<dyn StdError + Send + Sync>;
type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, ConnectFailed>> + Send>>;

/// Makes connections, encrypted for `https` URIs, each within its timeout.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<CheckedConnector>,
    patience: Duration,
}

/// Makes plain connections to permitted addresses.
#[derive(Clone)]
pub(super) struct CheckedConnector {
    pub(super) rule: Arc<AddressRule>,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) patience: Duration,
}

impl Connector {
    pub(super) fn new(
        rule: Arc<AddressRule>,
        resolver: Arc<dyn Resolve>,
        patience: Duration,
    ) -> Result<Self, rustls::Error> {
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(CheckedConnector { rule, resolver, patience });
        Ok(Self { https, patience })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<UpstreamStream>;
    type Error = ConnectFailed;
    type Future = Connecting<TokioIo<UpstreamStream>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectFailed>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Connecting<TokioIo<UpstreamStream>> {
        let (connecting, patience) = (self.https.call(uri), self.patience);
        Box::pin(async move {
            let connected = tokio::time::timeout(patience, connecting).await;
            let stream = connected.map_err(|_| NoConnection::TooSlow)??;
            Ok(TokioIo::new(UpstreamStream::new(stream)))
        })
    }
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailed;
    type Future = Connecting<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting<TokioIo<TcpStream>> {
        let reach = self.clone();
        Box::pin(async move { reach.connect(&uri).await.map(TokioIo::new) })
    }
}

impl CheckedConnector {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, ConnectFailed> {
        let host = bare_host(uri);
        let addresses = self.addresses(host, port(uri)).await?;
        // An unreachable address must not use up the time of the addresses after it.
        let share = self.patience / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failed = ConnectFailed::from(NoConnection::NoAddress(host.to_owned()));
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.rule.admit_connected(host, stream.local_addr()?, stream.peer_addr()?)?;
                    // Requests are written completely, so Nagle's algorithm would only add
                    // latency.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = error.into(),
                Err(_) => failed = NoConnection::TooSlow.into(),
            }
        }
        Err(failed)
    }

    /// The permitted addresses of a host.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ConnectFailed> {
        // An address literal was written by the operator, while a name resolves to whatever its
        // owner sets.
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(self.rule.admit_written(SocketAddr::new(address, port))?);
        }
        let found = self.resolver.resolve(host, port).await?;
        Ok(self.rule.admit_found(host, found)?)
    }
}

/// The host of a URI without the brackets of an IPv6 address.
fn bare_host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}
