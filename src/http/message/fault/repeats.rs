//! Responses to a repeat of a callback that cannot be given the first response
//! (docs/CONTRACT.md §6.5).

use hyper::StatusCode;

use super::Fault;
use crate::base::limits::RETRY_AFTER_SECS;

impl Fault {
    /// The first run of the callback is under way for longer than the repeat may wait.
    pub fn repeat_running() -> Self {
        let text = "The same request is still being answered. Try again in a moment.";
        Self { retry_after: Some(RETRY_AFTER_SECS), ..Self::conflict("repeat_running", text) }
    }

    /// The callback came before with another body.
    pub fn repeat_differs() -> Self {
        Self::conflict("repeat_differs", "This address was called before with another content.")
    }

    /// The first run of the callback was cut off, and the row does not allow a second one.
    pub fn interrupted() -> Self {
        let text = "The first attempt was cut off. Nobody knows whether it took effect.";
        Self::conflict("interrupted", text)
    }

    /// The first run of the callback had a response, which is not kept any more.
    pub fn answer_not_kept() -> Self {
        let text = "This was done before. What was answered has not been kept.";
        Self::conflict("answer_not_kept", text)
    }

    /// Whether the handler or upstream has certainly done nothing: the request never reached it.
    pub(crate) fn leaves_all_undone(&self) -> bool {
        self.unheard
    }

    /// Whether it is unknown how far the handler came: its store or its upstream failed, and not
    /// the handler, or its right to the session had ended when it wrote.
    pub(crate) fn leaves_open_what_happened(&self) -> bool {
        matches!(self.status.as_u16(), 502..=504) || self.code == "sessionReplaced"
    }

    const fn conflict(code: &'static str, public: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, public)
    }
}
