//! Admission: what is decided from the head of a request alone, before any row is looked up.
//!
//! - [`admission`]: the order of the checks, and the rules of a gate
//! - `well_formed`: framing, lengths and numbers of header fields
//! - [`hosts`]: which hosts a request may name
//! - [`proxies`]: which peers may name their clients
//! - [`cors`], [`cors_rule`]: which foreign origins may read responses
//! - [`redirect`]: the listener that sends plain HTTP on to HTTPS

pub mod admission;
pub mod cors;
pub mod cors_rule;
pub mod hosts;
pub mod proxies;
pub mod redirect;
mod well_formed;
