//! The classes folder of a gate: read and loaded together with the table.
//!
//! | file | part |
//! |---|---|
//! | `folder` | reading and loading the files |
//! | `stamp` | detecting that no file can have changed, without reading them |
//! | `loaded` | one generation of loaded classes |
//! | `unread` | the same types in a build without the feature `script`; they find no files |

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
