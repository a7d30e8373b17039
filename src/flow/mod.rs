//! The operations on sessions and tokens on behalf of one request. Nothing here depends on HTTP.
//!
//! - `sessions`: what all requests share: store, clock, keys, rules
//! - `open`: how a request gets its session, or a guest's
//! - `session`: the request's handle on its session: reading, drafting, writing, ending
//! - `mint`, `link`: tokens, and the addresses in which they travel
//! - `redeem`: one redemption: a `TokenAttempt` goes in, a `Redemption` comes out
//! - `consent`: whether a person has consented to what a token does
//! - `binding`: how a browser that minted a token is recognized
//! - `waiters`: requests that wait for the response to the same callback
//! - `capability`: how an upstream works in the session of the request it was given
//! - `rates`: how often a client or a session may do what
//!
//! A `session::Session` holds the shared `sessions::Sessions`, which hold the capabilities and
//! watchers of open requests and so handles on their sessions: the files `session`, `sessions` and
//! `capability` know each other.

pub(crate) mod binding;
pub mod capability;
pub(crate) mod consent;
mod link;
mod mint;
pub(crate) mod open;
pub mod rates;
pub(crate) mod redeem;
pub mod session;
pub mod sessions;
pub mod waiters;
