//! What rows may name: classes, and whatever passes requests on to upstreams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::backend::native::Singleton;
use crate::base::nearest::nearest;
use crate::http::Handler;
use crate::http::Handlers;
use crate::http::Missing;
use crate::http::Relay;
use crate::http::relay::Relays;

/// Handlers by class and method, and relays by upstream. Names are exact, as in the table.
#[derive(Default)]
pub struct Registry {
    classes: BTreeMap<String, BTreeMap<String, Arc<dyn Handler>>>,
    relays: Option<Arc<dyn Relays>>,
}

impl Registry {
    /// Adds a singleton; one of the same name is replaced.
    pub fn add<S: Send + Sync + 'static>(&mut self, singleton: Singleton<S>) {
        let (class, methods) = singleton.into_parts();
        self.classes.insert(class, methods);
    }

    /// Passes the requests of rows that name an upstream on by these.
    pub fn relay_by(&mut self, relays: Arc<dyn Relays>) {
        self.relays = Some(relays);
    }
}

impl Handlers for Registry {
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing> {
        let methods = self.classes.get(class).ok_or(Missing::Class)?;
        methods.get(method).map(Arc::clone).ok_or(Missing::Method)
    }

    fn relay(&self, upstream: &Url) -> Option<Arc<dyn Relay>> {
        self.relays.as_ref().map(|relays| relays.find(upstream))
    }

    fn nearest(&self, class: &str, method: &str) -> Option<String> {
        let known: Vec<String> = self
            .classes
            .iter()
            .flat_map(|(class, methods)| {
                methods.keys().map(move |method| format!("{class}.{method}"))
            })
            .collect();
        let wanted = format!("{class}.{method}");
        nearest(&wanted, known.iter().map(String::as_str)).map(str::to_owned)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.classes.keys()).finish()
    }
}
