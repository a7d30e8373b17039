//! The registry of classes that rows can name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::backend::accounts;
use crate::backend::native::{Functions, Singleton};
use crate::base::text::nearest::nearest;
use crate::http::{Exposure, Handler, Handlers, Missing};

/// Handlers by class and method. Names are matched exactly, as in the table.
///
/// Classes have two sources: native singletons that the embedding program adds, and the classes
/// folder, which is reloaded as a whole while the gate serves. A native class hides a class file of
/// the same name completely; its functions are not merged.
/// The built-in classes are in every registry; a singleton of the same name replaces one.
#[derive(Clone)]
pub struct Registry {
    native: Arc<BTreeMap<String, Functions>>,
    files: Option<Arc<dyn Handlers>>,
}

impl Default for Registry {
    fn default() -> Self {
        let mut registry = Self { native: Arc::default(), files: None };
        registry.add(accounts::class());
        registry
    }
}

impl Registry {
    /// Adds a singleton, replacing one of the same name.
    pub fn add<S: Send + Sync + 'static>(&mut self, singleton: Singleton<S>) {
        let (class, functions) = singleton.into_parts();
        Arc::make_mut(&mut self.native).insert(class, functions);
    }

    /// Whether a singleton of this name was added.
    pub fn has(&self, class: &str) -> bool {
        self.native.contains_key(class)
    }

    /// Returns the same singletons with `files` as the source of every other class.
    #[must_use]
    pub fn with_files(&self, files: Arc<dyn Handlers>) -> Self {
        Self { files: Some(files), ..self.clone() }
    }
}

impl Handlers for Registry {
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing> {
        match (self.native.get(class), &self.files) {
            (Some(class), _) => class.methods.get(method).map(Arc::clone).ok_or(Missing::Method),
            (None, Some(files)) => files.find(class, method),
            (None, None) => Err(Missing::Class),
        }
    }

    fn exposure(&self, class: &str, method: &str) -> Exposure {
        match (self.native.get(class), &self.files) {
            (Some(class), _) => class.exposures.get(method).copied().unwrap_or_default(),
            (None, Some(files)) => files.exposure(class, method),
            (None, None) => Exposure::default(),
        }
    }

    fn lineage(&self, class: &str, method: &str) -> Vec<String> {
        match (self.native.get(class), &self.files) {
            (None, Some(files)) => files.lineage(class, method),
            _ => vec![class.to_owned()],
        }
    }

    fn is_extended(&self, class: &str, method: Option<&str>) -> bool {
        self.files.as_ref().is_some_and(|files| files.is_extended(class, method))
    }

    fn nearest(&self, class: &str, method: &str) -> Option<String> {
        let known: Vec<String> = self
            .native
            .iter()
            .flat_map(|(class, functions)| {
                functions.methods.keys().map(move |method| format!("{class}.{method}"))
            })
            .collect();
        let wanted = format!("{class}.{method}");
        let own = nearest(&wanted, known.iter().map(String::as_str));
        let of_files = self.files.as_ref().and_then(|files| files.nearest(class, method));
        let nearer = nearest(&wanted, own.into_iter().chain(of_files.as_deref()));
        // The class files may suggest a class by that name when no function matches.
        nearer.map(str::to_owned).or(of_files)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("native", &self.native.keys())
            .field("files", &self.files)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: &str, methods: &[&str]) -> Registry {
        let mut registry = Registry::default();
        let singleton = methods.iter().fold(Singleton::new(class, ()), |singleton, method| {
            singleton.method(*method, async |_, _, _| ())
        });
        registry.add(singleton);
        registry
    }

    #[test]
    fn a_native_class_hides_a_file_of_its_name() {
        let files = of("Mail", &["send", "validate"]);
        let both = of("Mail", &["send"]).with_files(Arc::new(files));
        assert!(both.find("Mail", "send").is_ok());
        assert_eq!(
            both.find("Mail", "validate").err(),
            Some(Missing::Method),
            "never half of both"
        );
        assert!(both.has("Mail") && !both.has("Pay"));
    }

    #[test]
    fn other_classes_come_from_the_files() {
        let both = of("Mail", &["send"]).with_files(Arc::new(of("Pay", &["done"])));
        assert!(both.find("Pay", "done").is_ok());
        assert_eq!(both.find("Pay", "dome").err(), Some(Missing::Method));
        assert_eq!(both.find("Shop", "done").err(), Some(Missing::Class));
    }

    #[test]
    fn the_nearest_name_is_searched_in_native_classes_and_files() {
        let both = of("Mail", &["send"]).with_files(Arc::new(of("Pay", &["done"])));
        assert_eq!(both.nearest("Pay", "dome").as_deref(), Some("Pay.done"));
        assert_eq!(both.nearest("Mail", "sent").as_deref(), Some("Mail.send"));
        assert_eq!(both.nearest("Elsewhere", "entirely"), None);
    }
}
