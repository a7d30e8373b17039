//! The PostgreSQL engine, and the store on it, on servers of PostgreSQL.

mod kit;
mod rules;
mod whole;
