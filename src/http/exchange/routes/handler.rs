//! The port of handlers, which are given a whole request.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::http::message::fault::Fault;
use crate::http::message::incoming::BadJson;
use crate::http::message::incoming::IncomingMessage;
use crate::http::message::parse::form::BadForm;
use crate::http::message::reply::Reply;

/// The reply of a handler that still runs.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Reply, HandlerError>> + Send>>;

/// Handles the requests of a row.
///
/// A handler is called once for each request, for many requests at once. The session is the
/// request's own handle; what was written through it is kept when the handler has returned.
pub trait Handler: Send + Sync {
    /// Handles one request.
    fn call(&self, request: IncomingMessage, session: Session) -> HandlerFuture;

    /// How long a reply may take where the row says nothing; `None` leaves it to the setting
    /// `limits.handler_secs`. When the time is up the future is dropped.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Some lines of its code, with the place on the first, for its developer.
    fn excerpt(&self) -> Option<String> {
        None
    }
}

/// Finds the handlers of rows.
pub trait Handlers: fmt::Debug + Send + Sync {
    /// The handler of a class and method, as a row names them.
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing>;

    /// The ways in which a function can be called besides rows; none unless its class says so.
    fn exposure(&self, _class: &str, _method: &str) -> Exposure {
        Exposure::default()
    }

    /// The known names nearest to a class and method that are missing, for messages.
    fn nearest(&self, class: &str, method: &str) -> Option<String>;
}

/// How a function can be called by its name, without a row (docs/CONTRACT.md §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// By `POST` below `/rest` (`static exposed`).
    pub post: bool,
    /// By `GET` below `/rest` (`static onHTTPGet`).
    pub get: bool,
    /// Below `/4DACTION` (`static actions`).
    pub action: bool,
}

/// Why a row has no handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No class of that name.
    Class,
    /// The class exists and is not a singleton.
    Singleton,
    /// The class has no such function.
    Method,
}

impl Missing {
    /// The model's own text. That a missing class reads like a missing function is how 4D
    /// documents it (4D §1.6).
    pub const fn text(self) -> &'static str {
        match self {
            Self::Class | Self::Method => "Cannot find singleton function",
            Self::Singleton => "Cannot find singleton",
        }
    }
}

/// A handler failed. Made from any error by `?`.
pub struct HandlerError(Box<dyn StdError + Send + Sync>);

impl HandlerError {
    /// A failure with a text for the log.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The same with some lines of the handler's code, which are shown in development.
    pub(crate) fn in_code(text: String, excerpt: Option<String>) -> Self {
        match excerpt {
            Some(excerpt) => Self(Box::new(InCode { text, excerpt })),
            None => Self::new(text),
        }
    }

    /// The body of the request is not what the handler asked for; the client gets 400 with the code
    /// `bad_body`, and `why` is for the log. [`BadJson`] and [`BadForm`] become this by themselves.
    pub fn bad_body(why: impl Into<String>) -> Self {
        Self(Box::new(BadBody(why.into())))
    }

    /// Whether the body that the client sent is to blame.
    pub(crate) fn is_bad_body(&self) -> bool {
        let error = &self.0;
        error.is::<BadBody>() || error.is::<BadJson>() || error.is::<BadForm>()
    }

    /// As many requests as allowed wait for this handler, which was therefore not called; the
    /// client gets 503 with `Retry-After`.
    pub(crate) fn busy() -> Self {
        Self(Box::new(Busy))
    }
}

/// A failure whose place in the code of the handler is known.
#[derive(Debug)]
struct InCode {
    text: String,
    excerpt: String,
}

impl fmt::Display for InCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for InCode {}

/// A body that is not what the handler asked for.
#[derive(Debug)]
struct BadBody(String);

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for BadBody {}

/// A handler has too much to do to take one more request.
#[derive(Debug, Clone, Copy)]
struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many requests are waiting for this handler")
    }
}

impl StdError for Busy {}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerError({})", self.0)
    }
}

impl From<HandlerError> for Fault {
    /// A store that failed under a handler is the store's failure, not the handler's; a body that
    /// is not what the handler asked for is the client's.
    fn from(raised: HandlerError) -> Self {
        if raised.is_bad_body() {
            return Self::bad_body(BadBody(raised.0.to_string()));
        }
        let raised = match raised.0.downcast::<Fault>() {
            Ok(fault) => return *fault,
            Err(other) => other,
        };
        match raised.downcast::<SessionError>() {
            Ok(error) => Self::from(*error),
            Err(error) if error.is::<Busy>() => Self::handler_busy(),
            Err(error) => match error.downcast::<InCode>() {
                Ok(error) => Self::raised_at(error.text, error.excerpt),
                Err(error) => Self::raised(error.to_string()),
            },
        }
    }
}
