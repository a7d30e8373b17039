//! Stores that many nodes use at once: a verb reads a session, decides in the node, and writes.

pub mod engine;
mod open;

pub use engine::Engine;
pub use open::{OpenError, OpenErrorKind};
