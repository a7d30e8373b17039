//! Serving HTTP: from a connection to a response.
//!
//! - [`conn`]: listeners, TLS, protocols, deadlines of connections
//! - [`edge`]: admission from the head of a request alone
//! - [`exchange`]: the life of one request, in named phases
//! - [`message`]: requests and responses, bodies, cookies, errors as responses
//! - [`confirm`]: the page that asks a person before a link counts
//! - [`outbound`]: the client that calls upstreams through address rules
//!
//! Handlers work with an [`IncomingMessage`], a [`Session`] and what they return, a [`Reply`].
//! Nothing here knows which store or which kind of handler is behind the ports.

pub mod confirm;
pub mod conn;
pub mod edge;
pub mod exchange;
pub mod limits;
pub mod message;
pub mod outbound;

pub use crate::flow::rates;
pub use crate::flow::session;
pub use crate::flow::session::{Session, SessionError};
pub use crate::flow::sessions::Sessions;
pub use conn::acceptor::{Acceptor, ConnectionCounts};
pub use conn::certificates::{BadCertificate, Certificates};
pub use conn::connection_limit::Spared;
pub use conn::server;
pub use edge::redirect::Redirect;
pub use edge::{hosts, proxies};
pub use exchange::dispatch::Dispatch;
pub use exchange::routes::Routes;
pub use exchange::routes::handler::{
    CallPermit, Exposure, Handler, HandlerError, HandlerFuture, Handlers, Missing,
};
pub use exchange::routes::proxy::{Proxy, ProxyFuture, ProxyRequest};
pub use message::body::outgoing as answer;
pub use message::body::outgoing::ResponseBody;
pub use message::conn_info::ConnInfo;
pub use message::fault::Fault;
pub use message::incoming::IncomingMessage;
pub use message::parse::form;
pub use message::reply::{OutgoingMessage, Reply};
pub use outbound::Outbound;
pub use outbound::OutboundError;
