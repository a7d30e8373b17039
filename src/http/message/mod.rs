//! HTTP messages: requests and responses, what they carry, and how it is read and written.
//!
//! - [`incoming`], [`reply`]: the request that a handler is given, and what it returns
//! - [`body`]: bodies in both directions, their limits and deadlines
//! - [`parse`]: forms, queries, character sets and `Accept` headers
//! - [`head`]: what the header fields of a request say about its client
//! - [`conn_info`]: what the connection of a request knows and no header can claim
//! - [`cookie`]: the cookies of callgate
//! - [`token_place`]: where a token may stand in a request
//! - [`fault`]: errors as responses

pub mod body;
pub mod conn_info;
pub mod cookie;
pub mod fault;
pub(crate) mod head;
pub mod incoming;
pub(crate) mod parse;
pub mod reply;
pub(crate) mod token_place;

pub use incoming::Picture;
