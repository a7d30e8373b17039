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
    /// Reserves room for one call, before a token is redeemed for it: a request that finds no room
    /// spends none. A handler without a limit has nothing to reserve.
    fn reserve(&self) -> Result<CallPermit, HandlerError> {
        Ok(CallPermit::default())
    }

    /// Handles one request, for which `permit` was reserved here.
    fn call(&self, request: IncomingMessage, session: Session, permit: CallPermit)
    -> HandlerFuture;

    /// How long a reply may take where the row says nothing; `None` leaves it to the setting
    /// `limits.handler_secs`. When the time is up the future is dropped.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Some lines of its code, with the place on the first, for its developer.
    fn excerpt(&self) -> Option<String> {
        None
    }
}

/// Room for one call of a handler, which is released when this is dropped.
#[derive(Default)]
pub struct CallPermit {
    _held: Option<Box<dyn Send + Sync>>,
}

impl CallPermit {
    /// A permit that lasts as long as `held`.
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self { _held: Some(Box::new(held)) }
    }
}

impl fmt::Debug for CallPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallPermit")
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

    /// The class, and then the classes that it extends and that have the function, too, nearest
    /// first: a permission about one of them concerns those before it.
    fn lineage(&self, class: &str, _method: &str) -> Vec<String> {
        vec![class.to_owned()]
    }

    /// Whether a class extends this one, and has this function of it, if one is named.
    fn is_extended(&self, _class: &str, _method: Option<&str>) -> bool {
        false
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
    /// The text of 4D. That a missing class reads like a missing function is how 4D documents it
    /// (developer.4d.com/docs/WebServer/http-request-handler).
    pub const fn text(self) -> &'static str {
        match self {
            Self::Class | Self::Method => "Cannot find singleton function",
            Self::Singleton => "Cannot find singleton",
        }
    }
}

/// A handler failed. Made from any error by `?`.
pub struct HandlerError(Cause);

enum Cause {
    /// The body of the request is not what the handler asked for.
    BadBody(String),
    /// The handler has too much to do to take one more request.
    Busy,
    /// A failure at a known place in the code of the handler.
    InCode {
        text: String,
        excerpt: String,
    },
    Other(Box<dyn StdError + Send + Sync>),
}

impl HandlerError {
    /// A failure with a text for the log.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cause::Other(text.into().into()))
    }

    /// The same with some lines of the handler's code, which are shown in development.
    pub(crate) fn in_code(text: String, excerpt: Option<String>) -> Self {
        match excerpt {
            Some(excerpt) => Self(Cause::InCode { text, excerpt }),
            None => Self::new(text),
        }
    }

    /// The body of the request is not what the handler asked for; the client gets 400 with the code
    /// `bad_body`, and `why` is for the log. [`BadJson`] and [`BadForm`] become this by themselves.
    pub fn bad_body(why: impl Into<String>) -> Self {
        Self(Cause::BadBody(why.into()))
    }

    /// Whether the body that the client sent is to blame.
    pub(crate) fn is_bad_body(&self) -> bool {
        matches!(self.0, Cause::BadBody(_))
    }

    /// As many requests as allowed wait for this handler, which was therefore not called; the
    /// client gets 503 with `Retry-After`.
    pub(crate) fn busy() -> Self {
        Self(Cause::Busy)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let error = error.into();
        if error.is::<BadJson>() || error.is::<BadForm>() {
            return Self::bad_body(error.to_string());
        }
        Self(Cause::Other(error))
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::BadBody(text) | Cause::InCode { text, .. } => write!(f, "HandlerError({text})"),
            Cause::Busy => f.write_str("HandlerError(busy)"),
            Cause::Other(error) => write!(f, "HandlerError({error})"),
        }
    }
}

impl From<HandlerError> for Fault {
    /// A store that failed under a handler is the store's failure, not the handler's; a body that
    /// is not what the handler asked for is the client's.
    fn from(raised: HandlerError) -> Self {
        match raised.0 {
            Cause::BadBody(why) => Self::bad_body(why),
            Cause::Busy => Self::handler_busy(),
            Cause::InCode { text, excerpt } => Self::raised_at(text, excerpt),
            Cause::Other(error) => Self::of_cause(error),
        }
    }
}

impl Fault {
    fn of_cause(error: Box<dyn StdError + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(fault) => *fault,
            Err(error) => match error.downcast::<SessionError>() {
                Ok(error) => Self::from(*error),
                Err(error) => Self::raised(error.to_string()),
            },
        }
    }
}
