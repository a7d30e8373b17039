//! Connections: from an accepted socket to a request that hyper has read.
//!
//! - [`server`]: the accept loop, and how all connections end
//! - [`acceptor`], [`connection_limit`]: how many connections there may be, in all and by address
//! - [`certificates`], [`transport`]: TLS, and a stream that is either plain or encrypted
//! - [`connection`], [`sniff`]: the first bytes, then HTTP/1.1 or HTTP/2 with their deadlines
//! - [`stall`]: a write that a client takes too slowly ends its connection
//! - [`frames`], [`traffic`], [`watched_body`]: the same for each stream of HTTP/2

pub mod acceptor;
pub mod certificates;
pub(crate) mod connection;
pub mod connection_limit;
mod frames;
pub mod server;
mod sniff;
mod stall;
mod traffic;
mod transport;
mod watched_body;
