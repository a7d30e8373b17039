//! callgate brings a callback from a third party back to exactly the session that started it,
//! exactly once.

pub mod base;
pub mod session;
pub mod table;
pub mod token;
pub mod store;
pub mod http;
pub mod admin;
pub mod backend;
pub mod settings;
pub mod gate;
pub mod cli;

pub use backend::Singleton;
pub use gate::Gate;
pub use http::{IncomingMessage, OutgoingMessage, Session};
pub use settings::Settings;
