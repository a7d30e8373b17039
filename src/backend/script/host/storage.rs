//! Host functions of `session.storage` and `session.update`: values as JSON text, by key.

use rquickjs::Object;

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::host::session::misread;
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::base::limits::UPDATE_ATTEMPTS_MAX;
use crate::flow::session::{Session, SessionError};

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    bindings.getter("storageKeys", |call| -> Vec<String> {
        call.session.keys().iter().map(ToString::to_string).collect()
    })?;
    bindings.method("storageRead", |call, key: String| {
        Ok(call.session.json(&key).map(|json| json.text().to_owned()))
    })?;
    bindings.method("storageWrite", |call, write: Object<'js>| {
        let key: String = write.get("key").map_err(misread)?;
        match write.get::<_, Option<String>>("text").map_err(misread)? {
            Some(text) => call.session.set_json(&key, &text).map_err(Failure::session)?,
            None => call.session.remove(&key),
        }
        Ok(())
    })?;
    bindings.method("updateRead", |call, key: String| {
        let (revision, json) = call.session.stored(&key);
        let text = json.map(|json| json.text().to_owned());
        Ok(Vec::from_iter([Some(revision.to_string()), text]))
    })?;
    bindings.async_method("updateWrite", |call, write: Object<'js>| {
        let session = call.session.clone();
        let key: String = write.get("key").map_err(misread)?;
        let text: Option<String> = write.get("text").map_err(misread)?;
        let revision: String = write.get("revision").map_err(misread)?;
        let attempt: usize = write.get("attempt").map_err(misread)?;
        if attempt > UPDATE_ATTEMPTS_MAX {
            return Err(Failure::session(SessionError::Contended));
        }
        let json = text.map(|text| Session::read_json(&text)).transpose();
        let json = json.map_err(Failure::session)?;
        // Revisions have 64 bits and JavaScript numbers 53, so they are passed as text.
        let revision = revision.parse().map_err(|_| SessionError::Contended);
        let revision = revision.map_err(Failure::session)?;
        Ok(async move {
            let done = match json {
                None if revision == 0 => is_absent_in_store(&session, &key).await,
                json => session.exchange(&key, revision, json).await,
            };
            done.map(Completion::Bool).map_err(Failure::session)
        })
    })
}

/// Whether the store has no such key either. Nothing is written: a write would create a stored
/// session for a guest who has no data.
async fn is_absent_in_store(session: &Session, key: &str) -> Result<bool, SessionError> {
    if !session.reload().await? {
        return Err(SessionError::Ended);
    }
    Ok(session.stored(key).1.is_none())
}
