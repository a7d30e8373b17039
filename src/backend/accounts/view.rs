//! Sessions and accounts as clients see them (github.com/pip-services/pip-services-docs).

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::account::Email;
use crate::account::User;
use crate::backend::accounts::refusal::Refusal;
use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::store::port::Opened;

/// A JSON body with this status.
pub(super) fn answer(status: u16, body: Value) -> Result<Reply, Refusal> {
    let message = OutgoingMessage::new().with_body(body).with_header("Cache-Control", "no-store");
    let message = message.and_then(|message| message.with_status(status));
    message.map(Reply::Message).map_err(|_| super::refuse(500, "UNDEFINED", "Unknown error."))
}

/// 204.
pub(super) fn nothing() -> Reply {
    OutgoingMessage::new().with_status(204).map_or(Reply::Nothing, Reply::Message)
}

/// A session under this id, with its user.
pub(super) fn session(opened: &Opened, id: &str, user: Option<&User>) -> Value {
    let mut all = common(opened, id);
    all.insert("user".to_owned(), user.map_or(Value::Null, account));
    Value::Object(all)
}

/// A session that was ended.
pub(super) fn closed(opened: &Opened) -> Value {
    let mut all = common(opened, &public_id(opened));
    all.insert("active".to_owned(), false.into());
    Value::Object(all)
}

/// A page of sessions, without users and data.
pub(super) fn page(found: &[Opened], total: Option<usize>) -> Value {
    let data: Vec<Value> =
        found.iter().map(|opened| Value::Object(common(opened, &public_id(opened)))).collect();
    match total {
        Some(total) => json!({ "data": data, "total": total }),
        None => json!({ "data": data }),
    }
}

/// The id under which a session is listed, which opens nothing.
pub(super) fn public_id(opened: &Opened) -> String {
    opened.record.id.to_string().to_lowercase()
}

fn common(opened: &Opened, id: &str) -> Map<String, Value> {
    let record = &opened.record;
    let label = record.devices.last().map_or("", |device| &*device.label);
    let all = json!({
        "id": id,
        "user_id": record.access.account.map(|id| id.to_string().to_lowercase()),
        "user_name": record.access.user_name,
        "active": true,
        "open_time": record.created_at.to_string(),
        "request_time": opened.seen_at.to_string(),
        "client": client(label),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

/// The kind of browser that a `User-Agent` names.
fn client(label: &str) -> &str {
    let label_lower = label.to_lowercase();
    let kinds = [("msie", "msie"), ("trident", "msie"), ("firefox", "firefox")];
    let more = [("chrome", "chrome"), ("safari", "safari")];
    let found = kinds.iter().chain(&more).find(|(part, _)| label_lower.contains(part));
    match (found, label) {
        (Some((_, kind)), _) => kind,
        (None, "") => "unknown",
        (None, label) => label,
    }
}

fn account(user: &User) -> Value {
    let profile = &user.profile;
    json!({
        "id": user.id.to_string().to_lowercase(),
        "login": user.login.as_str(),
        "name": profile.name,
        "email": profile.email.as_ref().map(Email::as_str),
        "create_time": user.created_at.to_string(),
        "language": profile.language,
        "theme": profile.theme,
        "time_zone": profile.time_zone,
        "roles": user.roles,
    })
}
