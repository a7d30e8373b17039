//! The servers of a deployment, and connections to them.

pub mod address;
pub(crate) mod cluster;
pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod sentinel;
pub(crate) mod server_pool;
pub(crate) mod topology;
