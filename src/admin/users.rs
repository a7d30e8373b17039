//! The operator's API for accounts, used by `callgate users`.
//!
//! | method, path | response |
//! |---|---|
//! | `GET /users?after=ID&limit=N` | `{"users": […], "next": ID or null}` in the order of the ids |
//! | `GET /users/LOGIN` | one account |
//! | `POST /users?body=SHA256` | creates an account: `{"added": …}` |
//! | `PATCH /users/LOGIN?body=SHA256` | changes one: `{"changed": …}` |
//!
//! The operator's credential is for a method and a target, so the target names the SHA-256 of the
//! body. A password is never sent: the command hashes it, so that a program that has taken the
//! address of a server which was stopped learns none.

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::account::Email;
use crate::account::Login;
use crate::account::PasswordHash;
use crate::account::Profile;
use crate::account::User;
use crate::account::same_name;
use crate::admin::operator::OperatorError;
use crate::admin::operator::Page;
use crate::base::UserId;
use crate::base::secret::digest::sha256;
use crate::base::text::hex;
use crate::flow::directory::DirectoryError;
use crate::flow::directory::Draft;
use crate::flow::directory::NewPassword;
use crate::flow::sessions::Sessions;
use crate::session::Right;
use crate::store::StoreError;

/// Sessions that are read at once.
const PAGE: usize = 500;
/// Roles or groups of one account.
const NAMES_MAX: usize = 64;
/// Longest name of a role or group.
const NAME_BYTES_MAX: usize = 128;

/// The body of `POST /users`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    login: String,
    #[serde(default)]
    name: String,
    email: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    password: Option<Hashes>,
}

/// The body of `PATCH /users/LOGIN`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    password: Option<Hashes>,
    #[serde(default)]
    grant: Names,
    #[serde(default)]
    revoke: Names,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    hash: String,
    digest: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

impl From<DirectoryError> for OperatorError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::LoginTaken => {
                Self::Conflict("login_taken", "There is an account with this login.")
            }
            DirectoryError::Unknown => Self::NotFound,
            DirectoryError::BadPassword(_) => Self::BadRequest("The password is not accepted."),
            DirectoryError::Store(error) => Self::Store(error),
            other => Self::Directory(other),
        }
    }
}

/// Handles a request for accounts: its method, path, query and body.
pub(super) async fn answer(
    sessions: &Sessions,
    (method, path, query): (&Method, &str, &str),
    body: &[u8],
) -> Result<Value, OperatorError> {
    let directory = &sessions.directory;
    let looks = method == Method::GET || method == Method::HEAD;
    match path.strip_prefix("/users").and_then(|rest| rest.strip_prefix('/')) {
        None if looks => {
            let page = Page::<UserId>::read(query)?;
            let found = directory.list(page.after, page.limit).await?;
            let next = found.last().filter(|_| found.len() == page.limit);
            let next = next.map(|user| user.id.to_string());
            Ok(json!({ "users": found.iter().map(view).collect::<Value>(), "next": next }))
        }
        None if method == Method::POST => {
            let new: NewUser = signed(query, body)?;
            Ok(json!({ "added": view(&directory.add(draft(new)?).await?) }))
        }
        None => Err(OperatorError::Method("GET, HEAD, POST")),
        Some(login) => {
            let login = percent_decode_str(login).decode_utf8();
            let login = login.ok().and_then(|login| Login::read(&login).ok());
            let login = login.ok_or(OperatorError::BadRequest("That is no login."))?;
            let user = directory.find(&login).await?.ok_or(OperatorError::NotFound)?;
            match *method {
                _ if looks => Ok(view(&user)),
                Method::PATCH => {
                    let changes: Changes = signed(query, body)?;
                    Ok(json!({ "changed": view(&change(sessions, user, changes).await?) }))
                }
                _ => Err(OperatorError::Method("GET, HEAD, PATCH")),
            }
        }
    }
}

/// The body of a request whose target names its digest.
fn signed<'b, T: Deserialize<'b>>(query: &str, body: &'b [u8]) -> Result<T, OperatorError> {
    let digest = query.strip_prefix("body=").and_then(|digest| hex::read::<32>(digest).ok());
    if digest != Some(sha256(body)) {
        return Err(OperatorError::BadRequest("The target names the SHA-256 of the body: ?body=…"));
    }
    serde_json::from_slice(body)
        .map_err(|_| OperatorError::BadRequest("The body is not the JSON that this path takes."))
}

fn draft(new: NewUser) -> Result<Draft, OperatorError> {
    let bad = |_| OperatorError::BadRequest("The login or the address cannot be used.");
    Ok(Draft {
        login: Login::read(&new.login).map_err(bad)?,
        profile: Profile {
            name: name(&new.name)?,
            email: new.email.map(|email| Email::read(&email)).transpose().map_err(bad)?,
            ..Profile::default()
        },
        password: new.password.map(hashed).transpose()?,
        roles: with(Vec::new(), &new.roles)?,
        groups: with(Vec::new(), &new.groups)?,
    })
}

/// Changes an account. Its open sessions end if it has a new password, lost a role or a group, or is
/// disabled: another holder of one of them keeps nothing.
async fn change(sessions: &Sessions, user: User, changes: Changes) -> Result<User, OperatorError> {
    let (id, directory) = (user.id, &sessions.directory);
    let takes_away = changes.password.is_some()
        || !changes.revoke.roles.is_empty()
        || !changes.revoke.groups.is_empty()
        || changes.disabled == Some(true);
    // Checked before anything is changed.
    with(user.roles.clone(), &changes.grant.roles)?;
    with(user.groups.clone(), &changes.grant.groups)?;
    if let Some(password) = changes.password {
        directory.set_password(id, hashed(password)?).await?;
    }
    let Changes { grant, revoke, disabled, .. } = changes;
    let changing = directory.change(id, move |user| {
        for (held, grant, revoke) in [
            (&mut user.roles, &grant.roles, &revoke.roles),
            (&mut user.groups, &grant.groups, &revoke.groups),
        ] {
            held.retain(|held| !revoke.iter().any(|name| same_name(name, held)));
            if let Ok(more) = with(held.clone(), grant) {
                *held = more;
            }
        }
        user.disabled = disabled.unwrap_or(user.disabled);
    });
    let user = changing.await?;
    if takes_away {
        end_sessions(sessions, id).await?;
    }
    Ok(user)
}

/// Ends every session in which an account is signed in.
async fn end_sessions(sessions: &Sessions, account: UserId) -> Result<(), StoreError> {
    let (store, now) = (&sessions.store, sessions.clock.now());
    let (mut after, mut ended) = (None, 0_u32);
    loop {
        let page = store.sessions(now, after, PAGE).await?;
        for opened in &page {
            let id = opened.record.id;
            if opened.record.access.account == Some(account) {
                store.end(now, id, Right::Operator).await?;
                sessions.watchers.wake(id);
                tracing::info!(event = "session.ended", session = %id, source = "operator");
                ended += 1;
            }
        }
        after = page.last().map(|opened| opened.record.id);
        if page.len() < PAGE {
            tracing::info!(event = "account.sessions_ended", user = %account, sessions = ended);
            return Ok(());
        }
    }
}

fn hashed(Hashes { hash, digest }: Hashes) -> Result<NewPassword, OperatorError> {
    let read = |text: &str| {
        PasswordHash::read(text).ok_or(OperatorError::BadRequest(
            "A password is given as its Argon2id hash in the PHC format.",
        ))
    };
    let digest = digest.as_deref().map(read).transpose()?;
    Ok(NewPassword::Hashed { password: read(&hash)?, digest })
}

/// These names and more of them, each once.
fn with(mut held: Vec<String>, more: &[String]) -> Result<Vec<String>, OperatorError> {
    for new in more {
        let new = name(new)?;
        if new.is_empty() || new.contains(',') {
            return Err(OperatorError::BadRequest("A role or group has a name without commas."));
        }
        if !held.iter().any(|held| same_name(held, &new)) {
            held.push(new);
        }
    }
    if held.len() > NAMES_MAX {
        return Err(OperatorError::BadRequest("An account has 64 roles and 64 groups at most."));
    }
    Ok(held)
}

fn name(text: &str) -> Result<String, OperatorError> {
    let text = text.trim();
    if text.len() > NAME_BYTES_MAX || text.contains(char::is_control) {
        return Err(OperatorError::BadRequest(
            "A name has 128 bytes at most, and no control characters.",
        ));
    }
    Ok(text.to_owned())
}

/// An account as operators see it.
fn view(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "login": user.login.as_str(),
        "name": user.profile.name,
        "email": user.profile.email.as_ref().map(Email::as_str),
        "emailVerified": user.email_verified,
        "roles": user.roles,
        "groups": user.groups,
        "disabled": user.disabled,
        "created": user.created_at.to_string(),
    })
}
