//! Serving: the life of a request, from a connection to an answer.
//!
//! ```text
//!   server      accept, first bytes, HTTP/1.1 or HTTP/2, deadlines, drain
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

pub mod access;
pub mod arrival;
mod binding;
pub mod body;
mod caught;
pub mod confirm;
mod connection;
pub mod cookie;
pub mod dispatch;
pub mod fault;
pub mod form;
pub mod handler;
mod head;
mod manner;
pub mod message;
pub mod plan;
pub mod query;
mod redemption;
pub mod reply;
mod run;
pub mod server;
pub mod session;
pub mod sessions;
mod sniff;
mod stall;

pub use arrival::Arrival;
pub use dispatch::Dispatch;
pub use fault::Fault;
pub use handler::{Answering, Handler, Handlers, Missing, Raised};
pub use message::IncomingMessage;
pub use plan::Plan;
pub use reply::{OutgoingMessage, Reply};
pub use session::{Session, SessionError};
pub use sessions::Sessions;
