//! Failures of a handler, as responses.

use hyper::StatusCode;

use super::Fault;
use super::Shape;
use super::page::HandlerFailure;
use crate::base::limits::RETRY_AFTER_SECS;

impl Fault {
    /// The row's class or method does not exist; the text says which (docs/CONTRACT.md §3).
    pub fn missing_target(text: &'static str) -> Self {
        let fault = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "missing_target", text);
        Self { shape: Shape::ErrorStack, ..fault }
    }

    /// The handler raised; its text is for the log, and for the client in development.
    pub fn raised(text: String) -> Self {
        let public = "The handler failed.";
        let fault = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "handler_failed", public);
        let failed = HandlerFailure { raised: text, ..HandlerFailure::default() };
        Self { shape: Shape::ErrorStack, failed: Some(Box::new(failed)), ..fault }
    }

    /// The handler panicked; the process goes on.
    pub fn panicked() -> Self {
        Self::raised("the handler panicked".to_owned())
    }

    /// As many requests as allowed wait for the handler, which was not called.
    pub fn handler_busy() -> Self {
        let text = "Too many requests are waiting. Try again in a moment.";
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "handler_busy", text);
        Self { retry_after: Some(RETRY_AFTER_SECS), unheard: true, ..fault }
    }

    /// The handler did not answer in time.
    pub fn handler_too_slow() -> Self {
        let public = "The handler did not answer in time.";
        let fault = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "handler_too_slow", public);
        Self { shape: Shape::ErrorStack, ..fault }
    }
}
