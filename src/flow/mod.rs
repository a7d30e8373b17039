//! The operations on sessions and tokens on behalf of one request. Nothing here depends on HTTP.
//!
//! - `sessions`: the state that all requests share: store, clock, keys, rules
//! - `open`: how a request gets its session, or a guest's
//! - `session`: the request's handle on its session: reading, drafting, writing, ending
//! - `mint`, `link`: tokens, and the URLs that contain them
//! - `redeem`: one redemption
//! - `retry`: the one retry of an operation whose reply was lost
//! - `consent`: whether the user has consented to the effect of a token
//! - `binding`: how a browser that minted a token is recognized
//! - `waiters`: requests that wait for the response to the same callback
//! - `capability`: how an upstream works in the session of the request forwarded to it
//! - `directory`: the accounts: creating and changing them, and signing in
//! - `rates`: rate limits of clients and sessions
//!
//! A `session::Session` holds the shared `sessions::Sessions`, which hold the capabilities and
//! watchers of open requests and so handles on their sessions: the files `session`, `sessions` and
//! `capability` depend on each other.

pub(crate) mod binding;
pub(crate) mod consent;
pub mod directory;
pub mod mint;
pub(crate) mod open;
pub mod rates;
pub(crate) mod redeem;
pub(crate) mod retry;
pub mod session;
pub mod sessions;
pub mod waiters;
