//! The PostgreSQL engine, and the store on it, on servers of PostgreSQL.

mod kit;
mod mirror;
mod rules;
mod whole;
