//! What a session cannot do, as answers.

use hyper::StatusCode;

use crate::flow::open::OpenError;
use crate::flow::session::SessionError;
use crate::http::message::fault::Fault;

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::TooOften(wait) => Self::rate_limited(wait),
            SessionError::TooManyGuests(wait) => Self::too_many_guests(wait),
            SessionError::Replaced => Self::session_replaced(),
            SessionError::ContextMayNotGain => Self::context_may_not_gain(),
            error => Self::raised(error.to_string()),
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::NoEntropy(none) => Self::internal(none),
        }
    }
}

impl Fault {
    /// The right of the request to its session has ended. Asked again at once, it comes with the
    /// newer cookie, if its browser has been given one.
    pub(crate) fn session_replaced() -> Self {
        let text = "The session has been signed in to or taken over since this began. Try again.";
        let fault = Self::new(StatusCode::CONFLICT, "sessionReplaced", text);
        Self { retry_after: Some(0), ..fault }
    }

    /// The request is in a session as a program that nobody asked for, and gains nothing there.
    pub(crate) fn context_may_not_gain() -> Self {
        let text = "Open this link in a browser.";
        Self::new(StatusCode::FORBIDDEN, "contextMayNotGain", text)
    }
}
