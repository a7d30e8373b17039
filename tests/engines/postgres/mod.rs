//! The PostgreSQL engine, and the store on it, on servers of PostgreSQL.

mod doctor;
mod encrypted;
mod failover;
mod guards;
pub(crate) mod kit;
mod mirror;
mod outage;
mod rules;
mod scenarios;
mod schema;
mod whole;
