//! The classes folder in a build without the feature `script`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::Registry;
use crate::base::Digest;
use crate::base::Entropy;
use crate::gate::reload::file_watch::ReadMode;
use crate::http::Outbound;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Survey;

/// A folder that is never read.
pub(in crate::gate) struct ClassFolder;

/// Its contents for this build: nothing.
#[derive(Clone)]
pub(in crate::gate) struct FolderContents;

/// No classes.
pub(in crate::gate) struct LoadedClasses;

/// The loadable part of it.
pub(in crate::gate) struct LoadableClasses {
    pub(in crate::gate) loaded: LoadedClasses,
    pub(in crate::gate) problems: Vec<Problem>,
    pub(in crate::gate) files: usize,
}

impl ClassFolder {
    pub(in crate::gate) fn of(
        _: &Settings,
        _: Option<&Arc<Outbound>>,
        _: &Arc<dyn Entropy>,
    ) -> Self {
        Self
    }

    pub(in crate::gate) fn places(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    pub(in crate::gate) fn exists(&self) -> bool {
        false
    }

    pub(in crate::gate) fn read(&self, _: ReadMode) -> FolderContents {
        FolderContents
    }

    pub(in crate::gate) fn load(
        &self,
        _: FolderContents,
        _: &BTreeSet<String>,
        _: Option<&LoadedClasses>,
    ) -> Result<LoadedClasses, Vec<Problem>> {
        Ok(LoadedClasses)
    }

    pub(in crate::gate) fn load_sound(&self, _: &BTreeSet<String>) -> LoadableClasses {
        LoadableClasses { loaded: LoadedClasses, problems: Vec::new(), files: 0 }
    }

    pub(in crate::gate) fn unreached(
        &self,
        _: &LoadableClasses,
        _: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        Vec::new()
    }

    pub(in crate::gate) fn unanswered(&self, _: &LoadableClasses, _: &Survey) -> Vec<Problem> {
        Vec::new()
    }

    pub(in crate::gate) fn unreached_of(
        &self,
        _: &LoadedClasses,
        _: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        Vec::new()
    }
}

impl LoadableClasses {
    pub(in crate::gate) fn is_broken(&self, _: &str) -> bool {
        false
    }
}

impl FolderContents {
    pub(in crate::gate) fn digest(&self) -> Digest {
        Digest::of_content("classes", &[])
    }
}

impl LoadedClasses {
    pub(in crate::gate) fn beside(&self, native: &Registry) -> Registry {
        native.clone()
    }
}
