//! The outcome of a host operation, and the errors that the host throws.

use std::fmt;

use rquickjs::{Array, Ctx, IntoJs as _, TypedArray, Value};

use crate::{flow::session::SessionError, http::HandlerError};

/// The outcome of a host operation, sent from the runtime's threads to the isolate's thread.
#[derive(Debug)]
pub(crate) enum Completion {
    /// `undefined`.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(String),
    /// JSON text; the script gets the parsed value.
    Json(String),
    /// A `Uint8Array`.
    Bytes(Vec<u8>),
    /// A list of outcomes.
    List(Vec<Completion>),
    /// The promise is rejected with this error.
    Failed(Failure),
}

/// An error that the host throws into a class.
pub(crate) struct Failure {
    /// `TypeError`, `RangeError` or `SyntaxError`; any other name creates an `Error` of that name.
    pub(crate) name: &'static str,
    pub(crate) message: String,
    /// A stable value of the error's `code` property.
    pub(crate) code: Option<&'static str>,
    /// The error for the client if the class does not catch this one. A store that is down is
    /// always 503, for example. `None` makes it a failure of the handler.
    pub(crate) cause: Option<HandlerError>,
}

impl Completion {
    /// Converts the outcome into a script value.
    pub(crate) fn value<'js>(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        match self {
            Self::Nothing | Self::Failed(_) => Ok(Value::new_undefined(ctx.clone())),
            Self::Bool(value) => value.into_js(ctx),
            Self::Text(value) => value.into_js(ctx),
            Self::Json(text) => ctx.json_parse(text),
            Self::Bytes(bytes) => {
                // Copied to the heap of the class, which is limited.
                Ok(TypedArray::<u8>::new_copy(ctx.clone(), bytes)?.into_value())
            }
            Self::List(items) => {
                let list = Array::new(ctx.clone())?;
                for (at, item) in items.into_iter().enumerate() {
                    list.set(at, item.value(ctx)?)?;
                }
                Ok(list.into_value())
            }
        }
    }
}

impl Failure {
    /// An error for which the class is responsible.
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), code: None, cause: None }
    }

    /// A `TypeError` with a text for the author of the class.
    pub(crate) fn wrong_type(message: impl Into<String>) -> Self {
        Self::new("TypeError", message)
    }

    /// A request body that cannot be parsed as the class asked. If the class does not catch the
    /// error, it is the client's fault and not the handler's.
    pub(crate) fn body(name: &'static str, bad: &dyn fmt::Display) -> Self {
        let cause = Some(HandlerError::bad_body(bad.to_string()));
        Self { cause, ..Self::new(name, bad.to_string()) }
    }

    /// A session error, with the error that the client gets for it.
    pub(crate) fn session(error: SessionError) -> Self {
        Self {
            name: "SessionError",
            message: error.to_string(),
            code: Some(error.code()),
            cause: Some(HandlerError::from(error)),
        }
    }
}

/// Prints only the name. The message may quote what a client sent.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({})", self.name)
    }
}
