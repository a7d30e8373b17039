//! `callgate users`: create accounts, set passwords, grant roles, list.
//!
//! A password is read from a prompt or from standard input, never from an argument, where other
//! users of the machine and the history of the shell would see it. It is hashed here: the server
//! gets the hash.

use hyper::Method;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use serde_json::json;

use crate::account::Hashing;
use crate::account::Login;
use crate::account::client_digest;
use crate::base::Clock;
use crate::base::clock::SystemClock;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::OsEntropy;
use crate::cli::UsersCommand;
use crate::cli::columns::age;
use crate::cli::columns::columns;
use crate::cli::columns::joined;
use crate::cli::columns::text;
use crate::cli::commands::operator::all;
use crate::cli::commands::operator::ask;
use crate::cli::commands::operator::say;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;
use crate::cli::internal_client::InternalClient;
use crate::cli::password;
use crate::settings::Settings;

/// `callgate users …`.
pub(crate) fn users(
    settings: &Settings,
    command: &UsersCommand,
) -> Result<CommandOutput, CommandError> {
    let mut inside = InternalClient::of(settings)?;
    Ok(match command {
        UsersCommand::List { format } => {
            let all = ask(all(inside, "users"))?;
            say(*format, &json!({ "users": all }), || lines(&all))
        }
        UsersCommand::Add { login, name, email, role, group, no_password, format } => {
            let known = read(login)?;
            let others = [name.as_deref().unwrap_or(""), email.as_deref().unwrap_or("")];
            let password =
                if *no_password { Value::Null } else { hashes(settings, &known, &others)? };
            let new = json!({
                "login": known.as_str(),
                "name": name.as_deref().unwrap_or(""),
                "email": email,
                "roles": role,
                "groups": group,
                "password": password,
            });
            let added = ask(inside.send_json(Method::POST, "/users", &new))?;
            say(*format, &added.unwrap_or_default(), || format!("{} can sign in\n", known.as_str()))
        }
        UsersCommand::Passwd { login, format } => {
            let known = read(login)?;
            let target = target(&known);
            let user = found(ask(inside.ask(Method::GET, &target))?, &known)?;
            let (name, email) = (text(&user, "name"), text(&user, "email"));
            let changes = json!({ "password": hashes(settings, &known, &[&*name, &*email])? });
            let done = found(ask(inside.send_json(Method::PATCH, &target, &changes))?, &known)?;
            say(*format, &done, || format!("{} has a new password\n", known.as_str()))
        }
        UsersCommand::Grant { login, role, group, revoke, format } => {
            let known = read(login)?;
            let names = json!({ "roles": role, "groups": group });
            let changes =
                if *revoke { json!({ "revoke": names }) } else { json!({ "grant": names }) };
            let target = target(&known);
            let done = found(ask(inside.send_json(Method::PATCH, &target, &changes))?, &known)?;
            say(*format, &done, || {
                lines(std::slice::from_ref(done.get("changed").unwrap_or(&done)))
            })
        }
    })
}

fn read(login: &str) -> Result<Login, CommandError> {
    Login::read(login)
        .map_err(|why| CommandError::new(Exit::Usage, format!("{login:?} is no login: {why}")))
}

fn target(login: &Login) -> String {
    format!("/users/{}", utf8_percent_encode(login.as_str(), NON_ALPHANUMERIC))
}

fn found(answer: Option<Value>, login: &Login) -> Result<Value, CommandError> {
    answer.ok_or_else(|| {
        let why = format!(
            "there is no account {:?}; callgate users list shows those that there are",
            login.as_str()
        );
        CommandError::new(Exit::Unknown, why)
    })
}

/// A password, as it is stored: hashed with the parameters of these settings.
fn hashes(settings: &Settings, login: &Login, others: &[&str]) -> Result<Value, CommandError> {
    let hashing = Hashing::new(&settings.accounts);
    let password = password::read()?;
    hashing
        .accepts(&password, login, others)
        .map_err(|why| CommandError::new(Exit::BadTable, format!("the password: {why}")))?;
    let entropy = OsEntropy::new();
    let hash = |secret: &SecretText| {
        let salt = Hashing::salt(&entropy).map_err(|error| error.to_string())?;
        let hash = hashing.hash(secret, &salt).ok_or("there is not enough memory for the hash")?;
        Ok::<String, String>(hash.as_str().to_owned())
    };
    let failed = |why| CommandError::new(Exit::Io, why);
    let digest = settings.accounts.client_digest.then(|| hash(&client_digest(&password)));
    Ok(json!({
        "hash": hash(&password).map_err(failed)?,
        "digest": digest.transpose().map_err(failed)?,
    }))
}

fn lines(all: &[Value]) -> String {
    if all.is_empty() {
        return "there is no account; callgate users add LOGIN makes one\n".to_owned();
    }
    let now = SystemClock.now();
    let row = |user: &Value| {
        let disabled = user.get("disabled").and_then(Value::as_bool) == Some(true);
        [
            text(user, "login"),
            text(user, "name"),
            joined(user, "roles"),
            joined(user, "groups"),
            age(user, "created", now),
            if disabled { "disabled" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    columns(["LOGIN", "NAME", "ROLES", "GROUPS", "CREATED", ""], &rows)
}
