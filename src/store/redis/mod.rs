//! Sessions in a Redis or Valkey that many nodes share.

pub mod address;

pub use address::Address;
