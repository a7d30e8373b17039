//! Opens the store that the settings name, and checks the requirements of `strict`.

use std::path::Path;
use std::sync::Arc;

use crate::base::Entropy;
use crate::base::Timestamp;
use crate::gate::error::GateError;
use crate::session::Keyring;
use crate::settings::KeyFault;
use crate::settings::Settings;
use crate::settings::StoreUrl;
use crate::store::Store;
use crate::store::live;
use crate::store::memory::MemoryStore;
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::store::shared::Engine;
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::store::shared::OpenError;
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::store::shared::SharedStore;

/// Opens the store that the settings name, as [`GateBuilder::open`](crate::gate::GateBuilder::open) does;
/// for programs that work on a store without serving it.
pub async fn open_store(settings: &Settings, now: Timestamp) -> Result<Arc<dyn Store>, GateError> {
    let config = settings.capacity;
    match settings.store_with_password().map_err(GateError::Password)? {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::with(config))),
        StoreUrl::Embedded(folder) => open_embedded(&folder, config, now).await,
        #[cfg(feature = "redis")]
        StoreUrl::Redis(address) => {
            shared(crate::store::redis::open(&address, settings.app.as_str()).await, config)
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(address) => {
            shared(crate::store::postgres::open(&address, settings.app.as_str()).await, config)
        }
        StoreUrl::Missing(feature) => Err(missing(&format!("{feature}:"), feature)),
    }
}

/// The keys of the settings. A store with sessions and without its key file is an error: a new key
/// would silently sign out every user.
pub(super) async fn keyring(
    settings: &Settings,
    store: &dyn Store,
    (now, entropy): (Timestamp, &dyn Entropy),
) -> Result<Keyring, GateError> {
    if let Some(path) = settings.missing_key()
        && store.sessions(now, None, 1).await.is_ok_and(|page| !page.is_empty())
    {
        return Err(GateError::Keys(KeyFault::Lost(path)));
    }
    settings.keyring(entropy).map_err(GateError::Keys)
}

/// Refuses a store that is not fit for production as it is configured.
pub(super) async fn demand_all(store: &dyn Store) -> Result<(), GateError> {
    let guarantees = store.self_check().await;
    let guarantees = guarantees.map_err(|error| GateError::Unchecked(error.to_string()))?;
    if guarantees.lacks.is_empty() { Ok(()) } else { Err(GateError::Lacking(guarantees)) }
}

#[cfg(any(feature = "redis", feature = "postgres"))]
fn shared(
    engine: Result<Arc<dyn Engine>, OpenError>,
    config: live::Config,
) -> Result<Arc<dyn Store>, GateError> {
    Ok(SharedStore::with(engine.map_err(GateError::Shared)?, config))
}

/// Replaying the log takes time, so it runs on a thread for blocking work.
#[cfg(feature = "embedded")]
async fn open_embedded(
    folder: &Path,
    config: live::Config,
    now: Timestamp,
) -> Result<Arc<dyn Store>, GateError> {
    use crate::store::embedded::EmbeddedStore;

    let dir = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open_with(&dir, config));
    let opened = opening.await.map_err(|error| {
        let store = folder.display();
        GateError::NoStore(format!("store {store}: opening it failed within callgate: {error}"))
    })?;
    let store = opened.map_err(GateError::Store)?;
    store.compare_clock(now);
    Ok(Arc::new(store))
}

#[cfg(not(feature = "embedded"))]
async fn open_embedded(
    folder: &Path,
    _: live::Config,
    _: Timestamp,
) -> Result<Arc<dyn Store>, GateError> {
    Err(missing(&folder.display().to_string(), "embedded"))
}

/// The error for a store that this build does not include.
fn missing(store: &str, feature: &str) -> GateError {
    GateError::NoStore(format!(
        "store {store}: this callgate was built without the {feature} store; build it with the \
         feature \"{feature}\", or choose another store"
    ))
}
