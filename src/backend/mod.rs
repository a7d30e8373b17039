//! What answers a row: the registry of classes, and the kinds of handlers there are.

pub mod demo;
pub mod forward;
pub mod native;
pub mod registry;

pub use forward::Forward;
pub use native::Singleton;
pub use registry::Registry;
