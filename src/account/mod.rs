//! The accounts of people: who they are, how their passwords are stored, and when a login is
//! locked.
//!
//! Pure: no clock, no randomness and no store. The present and random bytes are arguments.
//!
//! | file | part |
//! |---|---|
//! | `config` | the settings |
//! | `names` | logins, e-mail addresses and groups: their written form and how they are compared |
//! | `user` | an account, and what its stored form is |
//! | `password` | hashing with Argon2id, verification, and which passwords are accepted |
//! | `attempts` | counting failed attempts, and the lock-out rule |
//! | `credentials` | what is stored of a password, and its stored form |
//!
//! Accounts are used in four other places: `flow::directory` keeps them in the store and checks
//! passwords, `backend::accounts` is the class `callgate.Accounts`, `rest` has `$directory`, and
//! `admin` is what `callgate users` asks.

pub mod attempts;
mod config;
mod credentials;
mod names;
mod password;
mod user;

/// The name of the built-in class that serves accounts.
pub const CLASS: &str = "callgate.Accounts";

/// Whether a target, as `Class.function`, is served by that class.
pub(crate) fn is_of_accounts(target: &str) -> bool {
    target.strip_prefix(CLASS).is_some_and(|rest| rest.starts_with('.'))
}

/// The class of an application that checks the sign-ins of `$directory/login` itself, and its
/// function, in the place of 4D's `On REST Authentication`.
pub const AUTHENTICATION: (&str, &str) = ("OnRestAuthentication", "authenticate");

pub use attempts::{Attempts, Verdict};
pub use config::Config;
pub use credentials::Credentials;
pub use names::{BadName, Email, Login, same_name};
pub use password::{BadPassword, Hashing, PasswordHash, client_digest};
pub use user::{BadDocument, Profile, User};
