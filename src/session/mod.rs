//! A session: the state that the server keeps for a visitor, who may open it, and how long it
//! lives.
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
//! Everything here is pure: time, randomness and keys are arguments.
//!
//! | file | part |
//! |---|---|
//! | `record` | what is stored of one session |
//! | `storage` | the application's values, by key |
//! | `patch` | a change that merges with concurrent changes |
//! | `lifetime` | idle timeout and absolute limit |
//! | `credential` | the value of the cookie, and the keys that seal it |
//! | `right` | the right under which a request works in a session |
//! | `privileges`, `roles_file` | privileges, and the `roles.json` that defines them |
//! | `permissions`, `permissions_file` | which privileges a function demands, and the part of that file |
//! | `codec` | the stored form of a session |
//!
//! [`SessionId`]: crate::base::SessionId

pub mod codec;
pub mod credential;
pub mod lifetime;
pub mod patch;
pub mod permissions;
mod permissions_file;
pub mod privileges;
pub mod record;
pub mod right;
pub(crate) mod roles_file;
pub mod storage;

pub use credential::{Credential, Keyring};
pub use lifetime::Lifetime;
pub use patch::{AccessChange, Patch, PatchRefused};
pub use permissions::{Execute, Permission, Permitted};
pub use privileges::Roles;
pub use record::{Access, Device, Record};
pub use right::Right;
pub use storage::{JsonText, Storage, TooDeep};
