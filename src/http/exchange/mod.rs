//! The life of one request.

pub(crate) mod access;
pub(crate) mod catch_panic;
pub mod dispatch;
pub mod handler;
pub mod proxy;
mod redemption;
mod repeat;
pub(crate) mod response_policy;
mod route;
pub mod routes;
pub(crate) mod run;
mod visit;
