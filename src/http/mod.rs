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

mod accept;
pub mod access;
pub mod answer;
pub mod arrival;
mod binding;
pub mod body;
pub(crate) mod brought;
mod buckets;
pub mod capability;
mod caught;
pub mod certificates;
mod charset;
mod collected;
pub mod confirm;
mod connection;
mod content;
pub mod cookie;
pub mod cors;
pub mod cors_rule;
pub mod crowd;
mod damage;
pub mod dispatch;
pub mod entrance;
pub mod fault;
pub mod form;
mod frames;
pub mod front;
pub mod handler;
mod head;
pub mod held;
mod hop;
pub mod hosts;
pub mod limits;
mod manner;
pub mod message;
mod multipart;
pub mod outbound;
pub mod plan;
pub mod progress;
pub mod proxies;
pub mod query;
pub mod rates;
mod redemption;
mod redirect;
pub mod relay;
mod repeat;
pub mod reply;
mod route;
pub(crate) mod run;
pub mod runs;
pub mod server;
pub mod session;
pub mod sessions;
mod sniff;
mod speaks;
mod stall;
mod taken;
mod traffic;
mod transport;
pub mod tunnel;
pub mod upload;
mod visit;

pub use answer::AnswerBody;
pub use arrival::Arrival;
pub use certificates::{BadCertificate, Certificates};
pub use crowd::Spared;
pub use dispatch::Dispatch;
pub use entrance::{Crowding, Entrance};
pub use fault::Fault;
pub use handler::{Answering, Handler, Handlers, Missing, Raised};
pub use message::IncomingMessage;
pub use outbound::Outbound;
pub use outbound::OutboundError;
pub use plan::Plan;
pub use redirect::Redirect;
pub use relay::{Passage, Passing, Relay};
pub use reply::{OutgoingMessage, Reply};
pub use session::{Session, SessionError};
pub use sessions::Sessions;
