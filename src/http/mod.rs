//! Serving: the life of a request, from a connection to an answer.
//!
//! ```text
//!   entrance    room for one more? room for one more of this address? encrypted?
//!      │
//!   connection  handshake ─▶ first bytes ─▶ HTTP/1.1 or HTTP/2 ─▶ deadlines ─▶ goodbye, drain
//!      │        (below it: transport, stall; for HTTP/2 frames, which keep traffic's account)
//!      │
//!   front       one host and ours, the client's address, rates, early data, origins
//!      │
//!   dispatch    canonical path ─▶ row ─▶ body ─▶ session of the cookie ─▶ token, redeemed once
//!      │        ─▶ privileges ─▶ handler ─▶ what it wrote is kept ─▶ cookie and headers ─▶ log
//!      │
//!   handler     the port that everything which answers a row implements
//! ```
//!
//! A token that nobody has agreed to redeem stops at a page with one button: [`confirm`].
//!
//! Handlers work with three things: [`IncomingMessage`], [`Session`] and what they return, a
//! [`Reply`]. Failures become answers in [`fault`] and nowhere else. Nothing here knows which
//! store or which kind of handler is behind the ports.

mod binding;
mod buckets;
pub mod capability;
pub mod confirm;
pub mod conn;
pub mod edge;
pub mod exchange;
pub mod message;
pub mod outbound;
pub mod rates;
pub mod runs;
pub mod session;
pub mod sessions;

pub use conn::acceptor::{Acceptor, Crowding};
pub use conn::certificates::{BadCertificate, Certificates};
pub use conn::connection_limit::Spared;
pub use conn::server;
pub use edge::redirect::Redirect;
pub use edge::{hosts, proxies};
pub use exchange::dispatch::Dispatch;
pub use exchange::routes::Routes;
pub use exchange::routes::handler::{Answering, Handler, Handlers, Missing, Raised};
pub use exchange::routes::proxy::{Passing, Proxy, ProxyRequest};
pub use message::body::outgoing as answer;
pub use message::body::outgoing::AnswerBody;
pub use message::conn_info::ConnInfo;
pub use message::fault::Fault;

pub use message::incoming::IncomingMessage;
pub use message::parse::form;
pub use message::reply::{OutgoingMessage, Reply};
pub use outbound::Outbound;
pub use outbound::OutboundError;
pub use session::{Session, SessionError};
pub use sessions::Sessions;
