//! What answers a row: the registry of classes, and the kinds of handlers there are.

pub mod budgets;
pub mod forward;
pub mod native;
pub mod registry;
#[cfg(feature = "script")]
pub mod script;

pub use budgets::Budgets;
pub use forward::Forward;
pub use native::Singleton;
pub use registry::Registry;
