//! The PostgreSQL engine, and the store on it, on servers of PostgreSQL.

mod failover;
mod kit;
mod mirror;
mod outage;
mod rules;
mod schema;
mod whole;
