//! Errors of the class, as responses: `{code, status, message}`
//! (github.com/pip-services/pip-services-docs).

use serde_json::json;

use crate::flow::directory::DirectoryError;
use crate::http::HandlerError;
use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::http::SessionError;

/// Why a function does not do what it was asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The client can do something about it.
    Client { status: u16, code: &'static str, message: String },
    /// The session or its store failed.
    Session(SessionError),
    /// Too many passwords wait to be checked.
    Busy,
    /// Any other failure. Clients get no details.
    Failed(DirectoryError),
}

/// A refusal with this status, code and message.
pub(super) fn refuse(status: u16, code: &'static str, message: &str) -> Refusal {
    Refusal::Client { status, code, message: message.to_owned() }
}

pub(super) fn not_signed() -> Refusal {
    refuse(401, "NOT_SIGNED", "User must be signed in to perform this operation.")
}

/// The response when the directory fails.
pub(super) fn of_directory(error: DirectoryError) -> Refusal {
    match error {
        DirectoryError::LoginTaken => {
            refuse(400, "ALREADY_EXIST", "There is an account with this login.")
        }
        DirectoryError::BadPassword(why) => {
            refuse(400, "BAD_PASSWORD", &format!("The password is not accepted: {why}."))
        }
        DirectoryError::Unknown => refuse(404, "NOT_FOUND", "There is no such account."),
        DirectoryError::Store(error) => Refusal::Session(SessionError::Store(error)),
        DirectoryError::Busy => Refusal::Busy,
        other => Refusal::Failed(other),
    }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl Refusal {
    pub(super) fn into_reply(self) -> Result<Reply, HandlerError> {
        match self {
            Self::Client { status, code, message } => {
                let body = json!({ "code": code, "status": status, "message": message });
                Ok(Reply::Message(OutgoingMessage::new().with_body(body).with_status(status)?))
            }
            Self::Session(error) => Err(error.into()),
            Self::Busy => Err(HandlerError::busy()),
            Self::Failed(error) => Err(error.into()),
        }
    }
}
