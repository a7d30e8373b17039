//! Bodies of requests and responses.
//!
//! - [`incoming`]: reads the body of a request within its limits of size and time
//! - [`content_coding`]: undoes `Content-Encoding` (RFC 9110 §8.4)
//! - [`upload`]: the body of a request that is passed on unread
//! - [`outgoing`]: the body of a response, whole or streamed
//! - [`collected`]: a streamed response read in whole, to be kept
//! - [`progress`]: when bytes moved last, for timeouts that bytes extend

pub(crate) mod collected;
pub(crate) mod content_coding;
pub mod incoming;
pub mod outgoing;
pub mod progress;
pub mod upload;
