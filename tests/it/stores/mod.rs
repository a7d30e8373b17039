//! The stores: the promises of the port, and what is left after a crash.

mod bearer;
mod broken;
mod clock;
mod contract;
mod copy;
mod crash;
mod disk;
mod embedded;
pub(crate) mod kit;
mod lossy;
mod model;
mod nodes;
mod property;
mod rifts;
mod room;
mod trace;
