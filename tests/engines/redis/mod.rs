//! Redis: the rules, the promises, and what happens when a server goes away.

mod keeping;
mod leftovers;
mod names;
mod opening;
mod outages;
mod scenarios;

use std::sync::Arc;

use callgate::store::redis::Address;
use callgate::store::redis::open;
use callgate::store::shared::Engine;
use callgate::store::shared::OpenError;

use crate::patience;

/// Opens the Redis at this address for the app of this name.
async fn try_open(url: &str, app: &str) -> Result<Arc<dyn Engine>, OpenError> {
    open(&Address::parse(url).unwrap(), app).await
}

pub(crate) async fn opened(url: &str, app: &str) -> Arc<dyn Engine> {
    patience::open(|| try_open(url, app)).await
}
