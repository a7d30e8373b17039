//! One module for each command of the program.

pub(crate) mod check;
pub(crate) mod explain;
#[cfg(feature = "script")]
pub(crate) mod init;
pub(crate) mod operator;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod store;
pub(crate) mod users;
