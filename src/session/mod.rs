//! A visitor's server-side state: what it holds, who may open it, and how long it lives.
//!
//! ```text
//!              first write            idle timeout, absolute limit, logout
//!   guest ───────────────────▶ open ──────────────────────────────────────▶ ended
//!   (a cookie, nothing stored)  ▲ │ patch                                   (remembered for a
//!                               └─┘                                          while, never reopened)
//! ```
//!
//! A session is opened by a [`Credential`], the value of a cookie. Its [`SessionId`] is a name
//! that may be logged. The record holds digests of the credentials it accepts, one for each
//! browser, so that each can be ended alone.
//!
//! Everything here is pure: the time, randomness and keys are arguments.
//!
//! [`SessionId`]: crate::base::SessionId

pub mod codec;
pub mod credential;
pub mod lifetime;
pub mod patch;
pub mod privileges;
pub mod record;
pub mod right;
pub(crate) mod roles_file;
pub mod storage;

pub use credential::{Credential, Keyring};
pub use lifetime::Lifetime;
pub use patch::{AccessChange, Patch, PatchRefused};
pub use privileges::Roles;
pub use record::{Access, Device, Record};
pub use right::Right;
pub use storage::{JsonText, Storage, TooDeep};
