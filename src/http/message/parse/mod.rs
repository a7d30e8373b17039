//! Parsers for the parts of a request.
//!
//! - [`accept`]: `Accept` headers and their weights
//! - [`charset`]: character sets of bodies
//! - [`form`], [`multipart`]: forms in both encodings

pub(crate) mod accept;
pub(crate) mod charset;
pub mod form;
pub(crate) mod multipart;
