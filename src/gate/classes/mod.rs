//! The classes folder of a gate: read and loaded together with the table.
//!
//! | file | part |
//! |---|---|
//! | `folder` | reading and loading the files |
//! | `stamp` | detecting that no file can have changed, without reading them |
//! | `loaded` | one generation of loaded classes |
//! | `without_scripts` | the same types in a build without the feature `script`; they find no files |

#[cfg(feature = "script")]
mod folder;
#[cfg(feature = "script")]
mod loaded;
#[cfg(feature = "script")]
mod stamp;
#[cfg(not(feature = "script"))]
mod without_scripts;

#[cfg(feature = "script")]
pub(super) use folder::ClassFolder;
#[cfg(feature = "script")]
pub(super) use folder::FolderContents;
#[cfg(feature = "script")]
pub(super) use loaded::LoadedClasses;
#[cfg(not(feature = "script"))]
pub(super) use without_scripts::ClassFolder;
#[cfg(not(feature = "script"))]
pub(super) use without_scripts::FolderContents;
#[cfg(not(feature = "script"))]
pub(super) use without_scripts::LoadedClasses;
