//! Where a browser goes back to after a sign-in (docs/CONTRACT.md §3, `requires`).

use serde_json::Value;

use crate::base::text::query::stays_on_this_site;
use crate::flow::session::Session;
use crate::flow::session::SessionError;

/// The storage key under which the path is kept: in the session, where no link can put it.
const KEY: &str = "callgate.returnPath";
/// Longest path that is kept; a browser with a longer one goes where it signs in.
const BYTES_MAX: usize = 2_048;

impl Session {
    /// Where the browser was going when it was sent to sign in, or `otherwise`, or `/` if that is no
    /// path of this site. It is returned once. Whatever a handler has written to its key, the result
    /// is a path of this site.
    pub fn take_return_path(&self, otherwise: &str) -> String {
        let kept = self.kept_return_path();
        if kept.is_some() {
            self.remove(KEY);
        }
        let path = kept.as_ref().and_then(Value::as_str);
        let mut paths = path.into_iter().chain([otherwise]);
        paths.find(|path| stays_on_this_site(path)).unwrap_or("/").to_owned()
    }

    /// Keeps where the browser was going; the last page that it asked for counts.
    pub(crate) async fn keep_return_path(&self, path: &str) -> Result<(), SessionError> {
        if path.len() > BYTES_MAX || !stays_on_this_site(path) {
            return Ok(());
        }
        if self.kept_return_path().is_some_and(|kept| kept == path) {
            return Ok(());
        }
        self.set(KEY, path)?;
        match self.settle().await {
            // A guest who cannot be stored just now signs in all the same.
            Err(SessionError::TooManyGuests(_)) => Ok(()),
            kept => kept,
        }
    }

    fn kept_return_path(&self) -> Option<Value> {
        self.lock().find(KEY).map(|json| json.value())
    }
}
