//! The call of one function with the parameters of a request.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::base::limits::ARGUMENTS_MAX;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::http::CallPermit;
use crate::http::Fault;
use crate::http::Handler;
use crate::http::HandlerError;
use crate::http::HandlerFuture;
use crate::http::IncomingMessage;
use crate::http::Reply;
use crate::http::Session;
use crate::http::message::incoming::nesting;

/// The query parameter of a `GET` that carries the parameters
/// (developer.4d.com/docs/REST/ClassFunctions).
const PARAMS: &str = "$params";

const NOT_A_LIST: &str =
    "The body must be a JSON array of the parameters, such as [\"Aguada\", 200].";
const NOT_A_QUERY: &str =
    "$params must be a JSON array in single quotes, such as $params='[\"Aguada\",200]'.";
const TOO_MANY: &str = "A call has at most 64 parameters.";

/// Where a request carries the parameters of a call.
pub(super) enum Arguments {
    /// In its body, a JSON array whatever the content type says. An empty body has none.
    Body,
    /// In `$params`, a JSON array.
    Query,
    /// In its path: the text after the name of an action.
    Path(Option<String>),
}

/// A function as the handler of one request.
pub(super) struct FunctionCall {
    pub(super) called: Arc<dyn Handler>,
    pub(super) arguments: Arguments,
}

impl Handler for FunctionCall {
    fn reserve(&self) -> Result<CallPermit, HandlerError> {
        self.called.reserve()
    }

    fn call(
        &self,
        request: IncomingMessage,
        session: Session,
        permit: CallPermit,
    ) -> HandlerFuture {
        let arguments = match self.arguments.of(&request) {
            Ok(arguments) => arguments,
            Err(fault) => return Box::pin(async move { Err(fault.into()) }),
        };
        let reply = self.called.call(request.with_arguments(arguments), session, permit);
        if matches!(self.arguments, Arguments::Path(_)) {
            return reply;
        }
        // A client of REST parses what it gets.
        Box::pin(async move {
            Ok(match reply.await? {
                Reply::Nothing => Reply::Value(Value::Null),
                reply => reply,
            })
        })
    }

    fn timeout(&self) -> Option<Duration> {
        self.called.timeout()
    }

    fn excerpt(&self) -> Option<String> {
        self.called.excerpt()
    }
}

impl Arguments {
    /// The parameters of a request.
    fn of(&self, request: &IncomingMessage) -> Result<Vec<Value>, Fault> {
        let arguments = match self {
            Self::Path(parameter) => {
                return Ok(parameter.iter().cloned().map(Value::from).collect());
            }
            Self::Body => {
                if request.text().trim().is_empty() {
                    return Ok(Vec::new());
                }
                let json = request.json().map_err(|_| Fault::bad_arguments(NOT_A_LIST))?;
                list(json).ok_or_else(|| Fault::bad_arguments(NOT_A_LIST))?
            }
            Self::Query => {
                let Some(text) = request.url_query().find(PARAMS) else { return Ok(Vec::new()) };
                let json = (nesting(text.as_bytes()) <= JSON_DEPTH_MAX)
                    .then(|| serde_json::from_str(text).ok())
                    .flatten();
                json.and_then(list).ok_or_else(|| Fault::bad_arguments(NOT_A_QUERY))?
            }
        };
        if arguments.len() > ARGUMENTS_MAX {
            return Err(Fault::bad_arguments(TOO_MANY));
        }
        Ok(arguments)
    }
}

fn list(json: Value) -> Option<Vec<Value>> {
    match json {
        Value::Array(list) => Some(list),
        _ => None,
    }
}
