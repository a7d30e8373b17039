//! Sessions in a Redis or Valkey that many nodes share.
//!
//! ```text
//!   address       the parsed `redis://…` URL
//!   open          checks that the server is suitable, before anything is stored
//!   engine        the steps of `Engine`, each one script
//!   commit        a commit as the arguments of its script
//!   pages         listing and sweeping over all shards
//!   guests        eviction of guests, over all shards
//!   records       the records beside sessions and tokens
//!   check         what the server guarantees, and what to change
//!   keys          the names of keys, and how they are distributed
//!   rows          rows as fields
//!   topology      access to the data: one server, the master of Sentinels, a Cluster
//!   server_pool   the connection pool of one server
//!   connect       one connection: TCP, TLS, authentication
//!   sentinel      the present master
//!   cluster       the map of slots to nodes
//!   error         errors, and whether the command was executed
//!   *.lua         the steps as the server runs them
//! ```

mod check;
mod commit;
mod engine;
mod guests;
mod keys;
mod open;
mod pages;
mod records;
mod rows;
pub mod servers;

pub use open::open;
pub use servers::address::Address;
