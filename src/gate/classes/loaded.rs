//! The loaded classes, which serve beside those of the program.

use std::sync::Arc;

use crate::backend::Registry;
use crate::backend::script::Classes;

/// One generation of loaded classes.
pub(in crate::gate) struct LoadedClasses(Arc<Classes>);

impl LoadedClasses {
    pub(super) fn new(classes: Classes) -> Self {
        Self(Arc::new(classes))
    }

    pub(super) fn classes(&self) -> &Classes {
        &self.0
    }

    /// A registry of the program's own classes, and of these for every other name.
    pub(in crate::gate) fn beside(&self, native: &Registry) -> Registry {
        native.with_files(Arc::clone(&self.0) as _)
    }
}
