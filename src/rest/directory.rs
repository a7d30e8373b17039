//! Who is signed in, and signing out: `/rest/$directory`
//! (developer.4d.com/docs/18/REST/directory).

use serde_json::Value;
use serde_json::json;

use crate::account::User;
use crate::flow::directory::DirectoryError;
use crate::http::CallPermit;
use crate::http::Fault;
use crate::http::Handler;
use crate::http::HandlerError;
use crate::http::HandlerFuture;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::http::Session;
use crate::http::SessionError;
use crate::rest::info::user_id;

const NOT_A_GROUP: &str =
    "The body must be a JSON array with the name of one group, such as [\"Sales\"].";

/// `GET /rest/$directory/currentUser`.
pub(super) struct CurrentUser;

/// `POST /rest/$directory/currentUserBelongsTo`.
pub(super) struct BelongsTo;

/// `GET /rest/$directory/logout`.
pub(super) struct Logout;

impl Handler for CurrentUser {
    fn call(&self, _: IncomingMessage, session: Session, _: CallPermit) -> HandlerFuture {
        Box::pin(async move {
            if session.is_guest() {
                return result(200, Value::Null);
            }
            let name = session.user_name();
            let full_name = user(&session).await?.map(|user| user.profile.name);
            let full_name = full_name.filter(|full| !full.is_empty());
            result(
                200,
                json!({
                    "userName": name,
                    "fullName": full_name.unwrap_or_else(|| name.clone()),
                    "ID": user_id(&session),
                }),
            )
        })
    }
}

impl Handler for BelongsTo {
    fn call(&self, request: IncomingMessage, session: Session, _: CallPermit) -> HandlerFuture {
        Box::pin(async move {
            let body = request.json().map_err(|_| Fault::bad_arguments(NOT_A_GROUP))?;
            let [Value::String(group)] = body.as_array().map(Vec::as_slice).unwrap_or_default()
            else {
                return Err(Fault::bad_arguments(NOT_A_GROUP).into());
            };
            let user = user(&session).await?;
            result(200, user.is_some_and(|user| user.is_in(group)))
        })
    }
}

impl Handler for Logout {
    fn call(&self, _: IncomingMessage, session: Session, _: CallPermit) -> HandlerFuture {
        Box::pin(async move {
            let was_signed_in = !session.is_guest();
            if !session.is_unstored() {
                session.logout().await?;
            }
            result(200, was_signed_in)
        })
    }
}

/// The account that is signed in, if it is still there.
async fn user(session: &Session) -> Result<Option<User>, HandlerError> {
    match session.account() {
        Some(account) => session.directory().get(account).await.map_err(of_directory),
        None => Ok(None),
    }
}

/// `{"result": value}` with this status, which nothing may keep.
pub(super) fn result(status: u16, value: impl Into<Value>) -> Result<Reply, HandlerError> {
    let message = OutgoingMessage::new().with_body(json!({ "result": value.into() }));
    let message = message.with_status(status)?.with_header("Cache-Control", "no-store")?;
    Ok(Reply::Message(message))
}

/// A failure of the directory. Clients get no details.
pub(super) fn of_directory(error: DirectoryError) -> HandlerError {
    match error {
        DirectoryError::Store(error) => SessionError::Store(error).into(),
        DirectoryError::Busy => HandlerError::busy(),
        other => other.into(),
    }
}
