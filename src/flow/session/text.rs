//! The part of a session's handle for handlers that hold values as JSON text: classes, whose
//! engine reads and writes it itself.

use std::sync::Arc;

use serde_json::Value;

use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::session::JsonText;

impl Session {
    /// The JSON text of a storage key, with the handler's own writes.
    pub(crate) fn json(&self, key: &str) -> Option<JsonText> {
        self.lock().find(key)
    }

    /// The storage keys that have a value, in order.
    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        self.lock().storage().into_keys().collect()
    }

    /// Sets a storage key to a JSON text.
    pub(crate) fn set_json(&self, key: &str, text: &str) -> Result<(), SessionError> {
        let json = Self::read_json(text)?;
        self.put(key, json)
    }

    /// Reads JSON text that is to be stored. Text that an engine accepts as JSON may still be
    /// nested too deeply, or contain a lone surrogate, which cannot be encoded in UTF-8.
    pub(crate) fn read_json(text: &str) -> Result<JsonText, SessionError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| SessionError::NotJson(error.to_string()))?;
        JsonText::of(&value).map_err(|deep| SessionError::NotJson(deep.to_string()))
    }

    /// Keeps what the handler has written so far, before it has returned.
    pub(crate) async fn store_written(&self) -> Result<(), SessionError> {
        self.publish(None).await
    }
}
