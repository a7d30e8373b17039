//! The listeners, and the certificates they use.

pub(crate) mod acceptors;
pub(crate) mod certificate;
pub(crate) mod listeners;
