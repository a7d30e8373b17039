//! The classes of the shipped table: a small shop that sends people away and gets them back.
//!
//! ```text
//!   home         what callgate does, and what this browser's session is
//!   mail         a link in an e-mail brings somebody back            $4DSID, any browser
//!   shop, bank   a payment page calls back, as a browser or a server  $4DSID, context
//!   sign_in,     an identity provider hands `state` back              session.restore
//!   example_id
//! ```
//!
//! `bank` and `example_id` play other people's sites. They are served here so that the
//! demonstration needs no network, and they use nothing of the shop but its public addresses.
//! All pages expect to be mounted at `/`.

mod bank;
mod example_id;
mod home;
mod mail;
mod note;
mod page;
mod shop;
mod sign_in;

use crate::backend::Registry;

/// The registry of the shipped program.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add(home::singleton());
    registry.add(mail::singleton());
    registry.add(shop::singleton());
    registry.add(bank::singleton());
    registry.add(sign_in::singleton());
    registry.add(example_id::singleton());
    registry
}
