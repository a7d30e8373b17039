//! The built-in class `callgate.Accounts`: people sign up, in and out, and see and end their
//! sessions (docs/ACCOUNTS.md). Its shapes are those of the facade of
//! github.com/pip-services/pip-services-docs.
//!
//! | function | who may | response |
//! |---|---|---|
//! | `signup` | anybody | 201, the session |
//! | `validate` | anybody | 204 while the login is free |
//! | `signin` | anybody | the session |
//! | `signout` | anybody | 204 |
//! | `sessions` | `admin` | a page of all sessions in which accounts are signed in |
//! | `current` | an account | the session of the request |
//! | `restore` | an account | one of its own sessions, or 204 |
//! | `userSessions` | the account itself, or `admin` | a page of the sessions of an account |
//! | `close` | the account itself, or `admin` | the session that was ended, or 204 |
//!
//! A client without cookies sends the `id` that a sign-in returned as `x-session-id`. Such an id is
//! a credential. A browser, and every list, has the public id of a session instead.
//!
//! | file | part |
//! |---|---|
//! | `refusal` | errors, with their codes |
//! | `view` | the JSON of sessions and accounts |

mod refusal;
mod view;

use hyper::HeaderMap;
use hyper::header;
use serde_json::Value;

use crate::account::CLASS;
use crate::account::Email;
use crate::account::Login;
use crate::account::Profile;
use crate::backend::native::Singleton;
use crate::base::Caller;
use crate::base::SessionId;
use crate::base::UserId;
use crate::base::secret::SecretText;
use crate::flow::directory::DirectoryError;
use crate::flow::directory::Draft;
use crate::flow::directory::NewPassword;
use crate::flow::directory::Presented;
use crate::flow::directory::SignedIn;
use crate::http::HandlerError;
use crate::http::IncomingMessage;
use crate::http::Reply;
use crate::http::Session;
use crate::http::message::head;

use refusal::Refusal;
use refusal::refuse;
use view::answer;
use view::nothing;

/// The role that may see and end the sessions of everybody.
const ADMIN: &str = "admin";
/// Sessions of a page at most, and without `take`.
const TAKE_MAX: usize = 100;
/// Longest text of a profile.
const TEXT_BYTES_MAX: usize = 254;

type Done = Result<Reply, Refusal>;

/// The class.
pub(crate) fn class() -> Singleton<()> {
    Singleton::new(CLASS, ())
        .method("signup", async |_, request, session| ended(signup(request, session).await))
        .method("validate", async |_, request, session| ended(validate(request, session).await))
        .method("signin", async |_, request, session| ended(signin(request, session).await))
        .method("signout", async |_, _, session| ended(signout(session).await))
        .method("sessions", async |_, request, session| ended(sessions(request, session).await))
        .method("current", async |_, request, session| ended(current(request, session).await))
        .method("restore", async |_, request, session| ended(restore(request, session).await))
        .method("userSessions", async |_, request, session| {
            ended(user_sessions(request, session).await)
        })
        .method("close", async |_, request, session| ended(close(request, session).await))
}

fn ended(done: Done) -> Result<Reply, HandlerError> {
    done.or_else(Refusal::into_reply)
}

async fn signup(request: IncomingMessage, session: Session) -> Done {
    let body = json(&request)?;
    let text = |name: &'static str| text(&body, name);
    let (name, email, password) = (text("name")?, text("email")?, secret(&body)?);
    if name.is_empty() {
        return Err(refuse(400, "NO_NAME", "An account has a name."));
    }
    if email.is_empty() {
        return Err(refuse(400, "NO_EMAIL", "An account has an e-mail address."));
    }
    let email = Email::read(&email)
        .map_err(|_| refuse(400, "WRONG_EMAIL", "The e-mail address is none."))?;
    let login = Some(text("login")?).filter(|login| !login.is_empty());
    let login = login.as_deref().unwrap_or(email.as_str());
    let login = Login::read(login).map_err(|_| refuse(400, "WRONG_LOGIN", "The login is none."))?;
    let (language, theme, time_zone) = (text("language")?, text("theme")?, text("time_zone")?);
    session.count_sign_up()?;
    let added = session.directory().add(Draft {
        login,
        profile: Profile { name, email: Some(email), language, theme, time_zone },
        password: Some(NewPassword::Plain(password)),
        // A new account has no role: roles are granted.
        roles: Vec::new(),
        groups: Vec::new(),
    });
    let user = added.await.map_err(refusal::of_directory)?;
    enter(&request, &session, (SignedIn::new_account(user), 201)).await
}

async fn validate(request: IncomingMessage, session: Session) -> Done {
    let login = request.url_query().find("login").unwrap_or_default();
    let Ok(login) = Login::read(login) else { return Ok(nothing()) };
    match session.directory().find(&login).await.map_err(refusal::of_directory)? {
        Some(_) => Err(refuse(400, "LOGIN_ALREADY_USED", "There is an account with this login.")),
        None => Ok(nothing()),
    }
}

async fn signin(request: IncomingMessage, session: Session) -> Done {
    let body = json(&request)?;
    let presented = Presented::Password(secret(&body)?);
    let signed_in = session.check_password(&text(&body, "login")?, presented).await?;
    let signed_in = signed_in.map_err(refusal::of_directory)?.ok_or_else(wrong_password)?;
    enter(&request, &session, (signed_in, 200)).await
}

/// Signs an account in, under a fresh credential. Only a program is given it in the body: a browser
/// has it as a cookie that scripts cannot read.
async fn enter(
    request: &IncomingMessage,
    session: &Session,
    (signed_in, status): (SignedIn, u16),
) -> Done {
    if !session.enter_account(&signed_in).await?.map_err(refusal::of_directory)? {
        return Err(wrong_password());
    }
    let credential = session.credential_to_tell().await?;
    let opened = session.opened().ok_or_else(refusal::not_signed)?;
    let credential = credential.as_ref().filter(|_| !keeps_cookies(request.headers()));
    let id = credential.map_or_else(|| view::public_id(&opened), |it| it.expose().to_owned());
    answer(status, view::session(&opened, &id, Some(&signed_in.user)))
}

/// One text for a wrong login and a wrong password: which it was tells who has an account.
fn wrong_password() -> Refusal {
    refuse(400, "WRONG_PASSWORD", "The login or the password is wrong.")
}

/// Whether the client is a browser or keeps cookies. A script of a page can choose what a request
/// accepts, but cannot leave out `Origin`, which browsers send with every `POST`.
fn keeps_cookies(headers: &HeaderMap) -> bool {
    head::caller(headers) == Caller::Browser
        || headers.contains_key(header::ORIGIN)
        || headers.contains_key(header::COOKIE)
}

async fn signout(session: Session) -> Done {
    if !session.is_unstored() {
        session.logout().await?;
    }
    Ok(nothing())
}

async fn sessions(request: IncomingMessage, session: Session) -> Done {
    account(&session)?;
    if !session.has_privilege(ADMIN) {
        return Err(refuse(403, "NOT_IN_ROLE", "User must be admin to perform this operation."));
    }
    page(&request, &session, None).await
}

/// A page in a browser gets no more than the public id: its cookie is none of its scripts'
/// business.
async fn current(request: IncomingMessage, session: Session) -> Done {
    let account = account(&session)?;
    let user = session.directory().get(account).await.map_err(refusal::of_directory)?;
    let opened = session.opened().ok_or_else(refusal::not_signed)?;
    let public = view::public_id(&opened);
    let id = Some(request.header("x-session-id")).filter(|id| !id.is_empty());
    answer(200, view::session(&opened, id.unwrap_or(&public), user.as_ref()))
}

async fn restore(request: IncomingMessage, session: Session) -> Done {
    let account = account(&session)?;
    let named = request.url_query().find("session_id").unwrap_or_default();
    let Some(id) = session.named(named) else { return Ok(nothing()) };
    match session.of_account(account, id).await? {
        Some(opened) => {
            let user = session.directory().get(account).await.map_err(refusal::of_directory)?;
            answer(200, view::session(&opened, named, user.as_ref()))
        }
        None => Ok(nothing()),
    }
}

async fn user_sessions(request: IncomingMessage, session: Session) -> Done {
    let owner = owner_or_admin(&request, &session)?;
    page(&request, &session, Some(owner)).await
}

async fn close(request: IncomingMessage, session: Session) -> Done {
    let owner = owner_or_admin(&request, &session)?;
    let id: Option<SessionId> = request.param("session_id").and_then(|id| session.named(id));
    let Some(id) = id else { return Ok(nothing()) };
    match session.end_of_account(owner, id).await? {
        Some(opened) => answer(200, view::closed(&opened)),
        None => Ok(nothing()),
    }
}

/// A page of sessions, with their public ids.
async fn page(request: &IncomingMessage, session: &Session, owner: Option<UserId>) -> Done {
    let number = |name: &str, without: usize| match request.url_query().find(name) {
        None | Some("") => Ok(without),
        Some(text) => {
            text.parse().map_err(|_| refuse(400, "WRONG_PAGING", "skip and take are numbers."))
        }
    };
    let (skip, take) = (number("skip", 0)?, number("take", TAKE_MAX)?.min(TAKE_MAX));
    let (found, total) = session.of_accounts(owner, (skip, take)).await?;
    let wants_total = request.url_query().find("total").is_some_and(|it| it != "false");
    answer(200, view::page(&found, wants_total.then_some(total)))
}

/// The account that is signed in.
fn account(session: &Session) -> Result<UserId, Refusal> {
    session.account().ok_or_else(refusal::not_signed)
}

/// The account that the path names, if it is the one that is signed in, or `admin` asks.
fn owner_or_admin(request: &IncomingMessage, session: &Session) -> Result<UserId, Refusal> {
    let own = account(session)?;
    let named = request.param("user_id").and_then(|id| id.parse().ok());
    match named {
        Some(named) if named == own || session.has_privilege(ADMIN) => Ok(named),
        _ => Err(refuse(403, "FORBIDDEN", "Only data owner can perform this operation.")),
    }
}

/// The body, which no form of a foreign page can send: that would sign the browser of somebody else
/// in to the account of that page.
fn json(request: &IncomingMessage) -> Result<Value, Refusal> {
    let kind = request.header("content-type").split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(refuse(415, "NOT_JSON", "Send the body as application/json."));
    }
    match request.json() {
        Ok(body @ Value::Object(_)) => Ok(body),
        _ => Err(refuse(400, "BAD_REQUEST", "The body is a JSON object.")),
    }
}

fn text(body: &Value, name: &'static str) -> Result<String, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.len() <= TEXT_BYTES_MAX => Ok(text.trim().to_owned()),
        Some(_) => {
            Err(refuse(400, "BAD_REQUEST", "A member is no text, or longer than 254 bytes."))
        }
    }
}

fn secret(body: &Value) -> Result<SecretText, Refusal> {
    match body.get("password").and_then(Value::as_str) {
        Some(password) if !password.is_empty() => Ok(SecretText::new(password.to_owned())),
        _ => Err(refuse(400, "NO_PASSWORD", "There is no password.")),
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        refusal::of_directory(error)
    }
}
