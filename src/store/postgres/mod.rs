//! Sessions and tokens in a PostgreSQL database, which many nodes share.

mod address;

pub use address::Address;
