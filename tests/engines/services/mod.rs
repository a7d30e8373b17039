//! Databases as processes of a test's own.

#[cfg(feature = "redis")]
pub(crate) mod redis;
