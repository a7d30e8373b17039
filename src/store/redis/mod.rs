//! Sessions in a Redis or Valkey that many nodes share.
//!
//! ```text
//!   address    what `redis://…` says
//!   open       looks whether the server is fit, before anything is stored
//!   engine     the steps of `Engine`, each one script
//!   commit     a commit in the words of its script
//!   pages      listing and sweeping over all shards
//!   guests     making room among guests, over all shards
//!   check      what the server guarantees, and what to change
//!   keys       the names of keys, and how they are spread
//!   rows       rows as fields
//!   link       the way to the data: one server, the master of Sentinels, a Cluster
//!   post       one server that is kept connected
//!   dial       one connection: TCP, TLS, signing in
//!   sentinel   who is the master now
//!   cluster    which node has which slots
//!   trouble    what went wrong, and whether the command was executed
//!   *.lua      the steps as the server runs them
//! ```

pub mod address;
mod check;
mod cluster;
mod commit;
mod dial;
mod engine;
mod guests;
mod keys;
mod link;
mod open;
mod pages;
mod post;
mod rows;
mod sentinel;
mod trouble;

pub use address::Address;
pub use open::open;
