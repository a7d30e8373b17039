//! How a request came in: over which connection, from where, and whether that was encrypted.

use std::net::SocketAddr;

/// What the connection of a request knows, and no header can claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnInfo {
    /// The other end of the connection: the client, or the proxy that is nearest.
    pub peer: SocketAddr,
    /// This end of it.
    pub local: SocketAddr,
    /// Whether the connection is encrypted by callgate itself.
    pub tls: bool,
}
