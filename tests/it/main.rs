//! The tests that see callgate as its users do, as one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]
#![expect(clippy::duplicate_mod, reason = "each store runs the same scenarios")]

mod accounts;
mod agree;
mod binding;
mod bodies;
mod callbacks;
mod callers;
#[cfg(feature = "script")]
mod checked;
#[cfg(feature = "script")]
mod class_files;
#[cfg(feature = "script")]
mod classes;
mod cli;
#[path = "stores/clock.rs"]
mod clock;
mod confirm;
mod connections;
mod cookies;
mod declarations;
mod demo;
mod directory;
mod embedding;
mod ending;
mod events;
#[cfg(feature = "script")]
mod explained;
mod forward;
mod framing;
mod front;
mod h2;
mod hop;
mod init;
mod leases;
#[cfg(feature = "script")]
mod left_behind;
mod limits;
mod links;
mod logs;
mod messages;
mod modes;
mod moved;
mod on_embedded;
mod on_shared;
mod operator;
mod operator_cli;
mod outage;
mod paths;
mod payloads;
mod privileges;
mod proof;
mod refusals;
mod reload;
mod repeats;
mod rest;
#[cfg(feature = "script")]
mod rest_classes;
mod return_path;
mod rights;
mod scenarios;
mod schema;
#[cfg(feature = "script")]
mod scripts;
mod secrets;
mod session_api;
mod sessions;
#[cfg(feature = "script")]
mod sessions_off;
mod settings_reach;
mod sign_ins;
mod store_cli;
mod stores;
mod support;
mod tables;
mod tls;
mod users_cli;
#[cfg(feature = "script")]
mod views;
mod wire;

// The store of the scenarios that `on_embedded`, `on_shared` and `tests/engines` run too.
use support::fresh;
use support::ground;
use support::house;
use support::size;
