//! Request handlers: native, script and forward, and the registry of classes that rows name.

mod accounts;
pub mod budgets;
pub mod forward;
pub mod native;
pub mod registry;
#[cfg(feature = "script")]
pub mod script;

pub use budgets::{Budgets, FetchLimits};
pub use forward::Forward;
pub use native::Singleton;
pub use registry::Registry;
