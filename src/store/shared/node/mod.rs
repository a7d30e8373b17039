//! What one node keeps in memory beside the database.

pub(crate) mod guests;
pub(crate) mod last_used_batch;
pub(crate) mod leases;
pub(crate) mod session_cache;
