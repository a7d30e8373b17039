//! Carries out an operation in the session, and builds the response.

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::admin::session_api::command::SessionCommand;
use crate::admin::session_api::json as json_response;
use crate::admin::session_api::problem;
use crate::http::Fault;
use crate::http::ResponseBody;
use crate::http::Session;
use crate::http::SessionError;
use crate::token::Outcome;

/// Carries out the operation after the other calls of the same request are finished.
pub(super) async fn carry_out(
    session: &Session,
    command: SessionCommand,
) -> Result<Response<ResponseBody>, Fault> {
    let plain = |error| problem::session(error, problem::session_full);
    let turn = session.turn().await.map_err(plain)?;
    match command {
        SessionCommand::View => {
            refresh(session).await?;
            Ok(told(StatusCode::OK, &view(session)))
        }
        SessionCommand::Read => {
            refresh(session).await?;
            Ok(told(StatusCode::OK, &session.storage().into()))
        }
        SessionCommand::Write(values) => {
            let removed = |value: Value| Some(value).filter(|value| !value.is_null());
            let values = values.into_iter().map(|(key, value)| (key, removed(value)));
            turn.write(values).await.map_err(plain)?;
            Ok(nothing())
        }
        SessionCommand::Mint(options, path) => {
            let refused = |error| problem::session(error, problem::no_path);
            let link = path.map(|path| session.callback_link(&path, &options)).transpose();
            let link = link.map_err(refused)?;
            let token = session.create_otp(options).await.map_err(refused)?;
            let mut told_of = Map::new();
            told_of.extend(link.map(|link| ("url".to_owned(), link.with(&token).into())));
            told_of.insert("token".to_owned(), token.into());
            Ok(told(StatusCode::CREATED, &told_of.into()))
        }
        SessionCommand::Restore(..) if turn.answer_has_begun() => Err(problem::answer_begun()),
        SessionCommand::Restore(token, options) => {
            // Logging out of a session that has ended is allowed, but not with a right that has
            // ended.
            session.reload().await.map_err(plain)?;
            let outcome = session.restore_with(&token, options).await.map_err(plain)?;
            let mut told_of = fate(outcome);
            told_of.insert("restored".to_owned(), outcome.is_restored().into());
            Ok(told(StatusCode::OK, &told_of.into()))
        }
        // The browser would be removed from its own session.
        SessionCommand::Grant(options) if !options.keep_devices && turn.answer_has_begun() => {
            Err(problem::answer_begun())
        }
        SessionCommand::Grant(options) => {
            turn.grant(options).await.map_err(plain)?;
            Ok(told(StatusCode::OK, &view(session)))
        }
        SessionCommand::End => {
            turn.end().await.map_err(plain)?;
            Ok(nothing())
        }
    }
}

/// Reads what other requests have written since this one began.
async fn refresh(session: &Session) -> Result<(), Fault> {
    let error = match session.reload().await {
        Ok(true) => return Ok(()),
        Ok(false) => SessionError::Ended,
        Err(error) => error,
    };
    Err(problem::session(error, problem::session_full))
}

/// The description of the session and its user.
fn view(session: &Session) -> Value {
    let privileges = session.privileges();
    json!({
        "id": session.id().to_string(),
        "userName": session.user_name(),
        "isGuest": session.is_guest(),
        "privileges": privileges,
        "expirationDate": session.expiration_date().to_string(),
        "idleTimeout": session.idle_timeout(),
        "otp": fate(session.otp()),
    })
}

/// The outcome of a token.
fn fate(outcome: Outcome) -> Map<String, Value> {
    let mut told_of = Map::new();
    told_of.insert("outcome".to_owned(), outcome.name().into());
    if let Outcome::Used { at } = outcome {
        told_of.insert("usedAt".to_owned(), at.to_string().into());
    }
    told_of
}

fn told(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    json_response(status, Bytes::from(body.to_string()))
}

fn nothing() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
