//! Signing in: `POST /rest/$directory/login`
//! (developer.4d.com/docs/18/REST/directory).

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::base::limits::USER_NAME_BYTES_MAX;
use crate::base::secret::SecretText;
use crate::flow::directory::Presented;
use crate::http::CallPermit;
use crate::http::Fault;
use crate::http::Handler;
use crate::http::HandlerError;
use crate::http::HandlerFuture;
use crate::http::IncomingMessage;
use crate::http::Reply;
use crate::http::Session;
use crate::http::SessionError;
use crate::rest::directory::of_directory;
use crate::rest::directory::result;

const USER: &str = "username-4D";
const PASSWORD: &str = "password-4D";
const HASHED: &str = "hashed-password-4D";
const MINUTES: &str = "session-4D-length";

const NO_USER: &str = "Send the name of the user in the header field username-4D.";
const NO_PASSWORD: &str =
    "Send the password in the header field password-4D, or its digest in hashed-password-4D.";
const BOTH: &str = "Send password-4D or hashed-password-4D, not both.";
const UNREADABLE: &str =
    "Each of the header fields of a login is sent once, in UTF-8; a name has at most 256 bytes.";

/// `POST /rest/$directory/login`.
pub(super) struct Login {
    /// The function of the application that checks in place of the accounts.
    pub(super) check: Option<Arc<dyn Handler>>,
}

/// What the header of a login says.
struct Asked {
    user: String,
    presented: Presented,
    /// The idle timeout, if it is a number.
    minutes: Option<u32>,
}

impl Handler for Login {
    fn reserve(&self) -> Result<CallPermit, HandlerError> {
        self.check.as_ref().map_or_else(|| Ok(CallPermit::default()), |check| check.reserve())
    }

    fn call(
        &self,
        request: IncomingMessage,
        session: Session,
        permit: CallPermit,
    ) -> HandlerFuture {
        let check = self.check.clone();
        Box::pin(async move {
            if session.is_off() {
                return Err(Fault::no_sessions().into());
            }
            let Asked { user, presented, minutes } = Asked::read(&request)?;
            let is_right = if let Some(check) = check {
                let arguments = arguments(&request, &user, &presented);
                session.count_sign_in()?;
                let called = check.call(request.with_arguments(arguments), session.clone(), permit);
                let is_right = checked(called.await?, &session, &user)?;
                if is_right {
                    session.forget_sign_in();
                }
                is_right
            } else {
                let found = session.check_password(&user, presented).await?;
                match found.map_err(of_directory)? {
                    Some(signed_in) => {
                        session.enter_account(&signed_in).await?.map_err(of_directory)?
                    }
                    None => false,
                }
            };
            if !is_right {
                return result(401, false);
            }
            if let Some(minutes) = minutes {
                session.set_idle_timeout(minutes);
            }
            result(200, true)
        })
    }

    fn timeout(&self) -> Option<Duration> {
        self.check.as_ref().and_then(|check| check.timeout())
    }

    fn excerpt(&self) -> Option<String> {
        self.check.as_ref().and_then(|check| check.excerpt())
    }
}

impl Asked {
    fn read(request: &IncomingMessage) -> Result<Self, Fault> {
        let text = |name| text(request, name);
        let user = text(USER)?.filter(|user| !user.is_empty());
        let user = user.ok_or_else(|| Fault::bad_login(NO_USER))?;
        if user.len() > USER_NAME_BYTES_MAX {
            return Err(Fault::bad_login(UNREADABLE));
        }
        let presented = match (text(PASSWORD)?, text(HASHED)?) {
            (Some(_), Some(_)) => return Err(Fault::bad_login(BOTH)),
            (Some(password), None) => Presented::Password(SecretText::new(password)),
            (None, Some(digest)) => Presented::Digest(SecretText::new(digest)),
            (None, None) => return Err(Fault::bad_login(NO_PASSWORD)),
        };
        let minutes = request.header(MINUTES).trim().parse::<i64>().ok();
        let minutes = minutes.map(|it| u32::try_from(it.max(0)).unwrap_or(u32::MAX));
        Ok(Self { user, presented, minutes })
    }
}

/// The value of a header field that is sent at most once.
fn text(request: &IncomingMessage, name: &str) -> Result<Option<String>, Fault> {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match String::from_utf8(value.as_bytes().to_vec()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Fault::bad_login(UNREADABLE)),
        },
        (Some(_), Some(_)) => Err(Fault::bad_login(UNREADABLE)),
    }
}

/// What the function of an application is given: user, password, whether it is a digest, and the
/// address of the client.
fn arguments(request: &IncomingMessage, user: &str, presented: &Presented) -> Vec<Value> {
    let (password, is_digest) = match presented {
        Presented::Password(password) => (password, false),
        Presented::Digest(digest) => (digest, true),
    };
    let address = request.remote_address().map(|address| address.to_string());
    vec![
        user.into(),
        password.expose().into(),
        is_digest.into(),
        address.unwrap_or_default().into(),
    ]
}

/// Signs in the user whom the function of the application lets in. What it has set for any other is
/// not kept.
fn checked(reply: Reply, session: &Session, user: &str) -> Result<bool, SessionError> {
    let is_right = is_true(reply);
    if is_right {
        session.sign_in_as(user)?;
    } else {
        session.take_back();
    }
    Ok(is_right)
}

/// Whether what a function returned counts as true in JavaScript. The result of a class file arrives
/// as the response that it would be, `{"result": value}`; no other response lets a user in.
fn is_true(reply: Reply) -> bool {
    let value = match reply {
        Reply::Value(value) => value,
        Reply::Nothing => Value::Null,
        Reply::Message(message) => {
            let (status, _, body) = message.into_parts();
            let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
            match body.get_mut("result") {
                Some(value) if status == StatusCode::OK => value.take(),
                _ => Value::Null,
            }
        }
    };
    match value {
        Value::Null => false,
        Value::Bool(is_true) => is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
