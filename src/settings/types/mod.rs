//! Types of settings with a syntax of their own.

pub(crate) mod choice;
pub(crate) mod forms;
pub(crate) mod names;
pub(crate) mod store_url;
pub(crate) mod tls;
