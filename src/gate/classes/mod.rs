//! The classes folder of a gate: read beside the table, and loaded with it.
//!
//! A gate that was built without the feature `script` has the same parts; they find nothing.

#[cfg(feature = "script")]
mod folder;
#[cfg(feature = "script")]
mod loaded;
#[cfg(feature = "script")]
mod stamp;
#[cfg(not(feature = "script"))]
mod unread;

#[cfg(feature = "script")]
pub(super) use folder::Folder;
#[cfg(feature = "script")]
pub(super) use folder::Found;
#[cfg(feature = "script")]
pub(super) use loaded::Loaded;
#[cfg(not(feature = "script"))]
pub(super) use unread::Folder;
#[cfg(not(feature = "script"))]
pub(super) use unread::Found;
#[cfg(not(feature = "script"))]
pub(super) use unread::Loaded;
