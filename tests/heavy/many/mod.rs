//! Many nodes on one database: what is promised of them, proven against real servers.
//!
//! A test whose database is not installed says so and passes; with `CALLGATE_TEST_ENGINES` set to
//! `required` it fails.

mod chaos;
mod crowd;
mod databases;
mod failover;
mod kills;
mod nodes;
mod races;
mod speed;
mod trips;
