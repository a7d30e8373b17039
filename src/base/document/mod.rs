//! Files that people write in JSON with comments: the handler table and `roles.json`.
//!
//! ```text
//!   bytes ── text ──▶ text ── reader ──▶ values with their positions, and every flaw
//!                                           │
//!                                        fields      one object, property by property
//! ```
//!
//! The reader recovers from errors, so that one missing comma does not hide what is wrong with the
//! rest of the file. Nothing here knows what a property means.
//!
//! `reader` is one parser in three files: `gaps` (blanks and comments) and `quoted` (strings) are
//! methods of the same type, and import it.

pub(crate) mod fields;
pub(crate) mod flaw;
mod gaps;
pub(crate) mod lines;
mod quantity;
mod quoted;
pub(crate) mod raw;
mod reader;
pub(crate) mod strays;
pub(crate) mod text;
mod words;

pub(crate) use flaw::Flaw;
pub(crate) use flaw::one_of;
pub(crate) use lines::Lines;
