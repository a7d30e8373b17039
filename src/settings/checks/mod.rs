//! Checks of settings that are valid one by one.

pub(crate) mod contradictions;
pub(crate) mod files;
pub(crate) mod private_file;
pub(crate) mod strangers;
