//! The port that everything which answers a row implements.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use url::Url;

use crate::http::fault::Fault;
use crate::http::message::IncomingMessage;
use crate::http::relay::Relay;
use crate::http::reply::Reply;
use crate::http::session::Session;
use crate::http::session::SessionError;

/// The answer of a handler, still on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Reply, Raised>> + Send>>;

/// Answers the requests of a row.
///
/// A handler is called once for each request, by many requests at once. The session is the
/// request's own handle; what was written through it is kept when the handler has returned.
pub trait Handler: Send + Sync {
    /// Answers one request.
    fn call(&self, request: IncomingMessage, session: Session) -> Answering;
}

/// Finds what answers a row.
pub trait Handlers: fmt::Debug + Send + Sync {
    /// The handler of a class and method, as a row names them.
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing>;

    /// What passes requests on to an upstream, as a row names it.
    fn relay(&self, upstream: &Url) -> Option<Arc<dyn Relay>>;

    /// The known names nearest to a class and method that are missing, for messages.
    fn nearest(&self, class: &str, method: &str) -> Option<String>;
}

/// Why nothing answers a row.
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
pub struct Raised(Box<dyn StdError + Send + Sync>);

impl Raised {
    /// A failure with a text for the log.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Raised {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raised({})", self.0)
    }
}

impl From<Raised> for Fault {
    /// A store that failed under a handler is the store's failure, not the handler's.
    fn from(raised: Raised) -> Self {
        match raised.0.downcast::<SessionError>() {
            Ok(error) => Self::from(*error),
            Err(error) => Self::raised(error.to_string()),
        }
    }
}
