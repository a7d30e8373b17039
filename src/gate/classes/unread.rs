//! The classes folder in a build without the feature `script`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::Registry;
use crate::base::Digest;
use crate::base::Entropy;
use crate::gate::watched::How;
use crate::http::Outbound;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Survey;

/// A folder that is never read.
pub(in crate::gate) struct Folder;

/// Its contents for this build: nothing.
#[derive(Clone)]
pub(in crate::gate) struct Found;

/// No classes.
pub(in crate::gate) struct Loaded;

/// The loadable part of it.
pub(in crate::gate) struct Sound {
    pub(in crate::gate) loaded: Loaded,
    pub(in crate::gate) problems: Vec<Problem>,
    pub(in crate::gate) files: usize,
}

impl Folder {
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

    pub(in crate::gate) fn read(&self, _: How) -> Found {
        Found
    }

    pub(in crate::gate) fn load(
        &self,
        _: Found,
        _: &BTreeSet<String>,
        _: Option<&Loaded>,
    ) -> Result<Loaded, Vec<Problem>> {
        Ok(Loaded)
    }

    pub(in crate::gate) fn load_sound(&self, _: &BTreeSet<String>) -> Sound {
        Sound { loaded: Loaded, problems: Vec::new(), files: 0 }
    }

    pub(in crate::gate) fn unreached(
        &self,
        _: &Sound,
        _: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        Vec::new()
    }

    pub(in crate::gate) fn unanswered(&self, _: &Sound, _: &Survey) -> Vec<Problem> {
        Vec::new()
    }

    pub(in crate::gate) fn unreached_of(
        &self,
        _: &Loaded,
        _: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        Vec::new()
    }
}

impl Sound {
    pub(in crate::gate) fn is_broken(&self, _: &str) -> bool {
        false
    }
}

impl Found {
    pub(in crate::gate) fn digest(&self) -> Digest {
        Digest::of_content("classes", &[])
    }
}

impl Loaded {
    pub(in crate::gate) fn beside(&self, native: &Registry) -> Registry {
        native.clone()
    }
}
