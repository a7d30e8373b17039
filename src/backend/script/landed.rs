//! What a host operation brings back into an isolate.

use std::fmt;

use rquickjs::Array;
use rquickjs::Ctx;
use rquickjs::IntoJs as _;
use rquickjs::TypedArray;
use rquickjs::Value;

use crate::flow::session::SessionError;
use crate::http::Raised;

/// The outcome of a host operation, on its way from the runtime's threads to the isolate's.
#[derive(Debug)]
pub(super) enum Landed {
    /// `undefined`.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(String),
    /// JSON text, which arrives as the value that it stands for.
    Json(String),
    /// A `Uint8Array`.
    Bytes(Vec<u8>),
    /// A list of such.
    List(Vec<Landed>),
    /// The promise is rejected.
    Failed(Failure),
}

/// An error that the host raises in a class.
pub(super) struct Failure {
    /// `TypeError`, `RangeError`, `SyntaxError`; any other name makes an `Error` of that name.
    pub(super) name: &'static str,
    pub(super) message: String,
    /// A stable word that a class finds under `code`.
    pub(super) code: Option<&'static str>,
    /// What the caller of the row is answered when the class lets the error pass: a store that is
    /// down is 503 whoever noticed it. Without one it is the handler's own failure.
    pub(super) cause: Option<Raised>,
}

impl Landed {
    /// The value that a script sees of an outcome.
    pub(super) fn value<'js>(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        match self {
            Self::Nothing | Self::Failed(_) => Ok(Value::new_undefined(ctx.clone())),
            Self::Bool(value) => value.into_js(ctx),
            Self::Text(value) => value.into_js(ctx),
            Self::Json(text) => ctx.json_parse(text),
            Self::Bytes(bytes) => {
                // A copy on the heap of the class, which has a limit.
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
    /// An error of the class's own making.
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), code: None, cause: None }
    }

    /// A wrong type, in words for the author of the class.
    pub(super) fn wrong_type(message: impl Into<String>) -> Self {
        Self::new("TypeError", message)
    }

    /// A body that is not what the class has asked for. If the class lets the error pass, that is
    /// the caller's fault and not its own.
    pub(super) fn body(name: &'static str, bad: &dyn fmt::Display) -> Self {
        let cause = Some(Raised::bad_body(bad.to_string()));
        Self { cause, ..Self::new(name, bad.to_string()) }
    }

    /// What a session cannot do, which keeps what it means for the caller of the row.
    pub(super) fn session(error: SessionError) -> Self {
        Self {
            name: "SessionError",
            message: error.to_string(),
            code: Some(error.code()),
            cause: Some(Raised::from(error)),
        }
    }
}

/// The name only: a message may quote what a visitor sent.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({})", self.name)
    }
}
