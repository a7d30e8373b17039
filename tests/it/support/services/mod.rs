//! Servers of databases for tests.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
