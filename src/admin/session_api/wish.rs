//! What an upstream asks for, read from the body of its request.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header;
use serde_json::Map;
use serde_json::Value;

use crate::admin::session_api::problem;
use crate::admin::session_api::routes::Action;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::limits::TOKEN_HANDLERS_MAX;
use crate::base::limits::TOKEN_LIFE_SECS_MAX;
use crate::flow::session::Privileges;
use crate::flow::session::RestoreOptions;
use crate::http::Fault;
use crate::http::message::incoming::nesting;
use crate::token::MintWish;

/// What is to be done.
pub(super) enum Wish {
    Look,
    Read,
    Write(Map<String, Value>),
    Mint(MintWish, Option<String>),
    Restore(String, RestoreOptions),
    Grant(Privileges),
    End,
}

impl Wish {
    /// Reads what a request asks for whose body is there as a whole.
    pub(super) fn read(action: Action, headers: &HeaderMap, body: &[u8]) -> Result<Self, Fault> {
        Ok(match action {
            Action::Write => match value(action, headers, body)? {
                Value::Object(values) => Self::Write(values),
                _ => return Err(problem::invalid("The body is an object of keys and values.")),
            },
            // All of its members may be left out, and so may they all.
            Action::Mint if body.is_empty() => Self::Mint(MintWish::default(), None),
            Action::Mint => mint(value(action, headers, body)?)?,
            Action::Restore => restore(value(action, headers, body)?)?,
            Action::Grant => Self::Grant(privileges(value(action, headers, body)?)?),
            Action::End => Self::End,
            Action::Read => Self::Read,
            Action::Look | Action::Describe => Self::Look,
        })
    }
}

/// The JSON of a body that says it is JSON.
fn value(action: Action, headers: &HeaderMap, body: &[u8]) -> Result<Value, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let merges = action == Action::Write;
    let is_json = kind.eq_ignore_ascii_case("application/json")
        || (merges && kind.eq_ignore_ascii_case("application/merge-patch+json"));
    if !is_json && merges {
        let text = "Send the body as application/json or application/merge-patch+json.";
        return Err(problem::media_type(text));
    }
    if !is_json {
        return Err(problem::media_type("Send the body as application/json."));
    }
    // One more than a value may have: the object that holds it.
    if nesting(body) > JSON_DEPTH_MAX + 1 {
        return Err(problem::too_deep());
    }
    serde_json::from_slice(body).map_err(|_| problem::bad_json())
}

fn mint(body: Value) -> Result<Wish, Fault> {
    const SHAPE: &str = "The body is an object; its members may be \"lifespan\", \"for\", \
                         \"mode\", \"confirm\", \"sameBrowser\", \"path\" and \"param\".";
    let Value::Object(members) = body else { return Err(problem::invalid(SHAPE)) };
    let (mut wish, mut path) = (MintWish::default(), None);
    for (name, member) in members {
        match name.as_str() {
            "lifespan" => wish.lifespan_secs = Some(secs(&member)?),
            "for" => {
                let text = "\"for\" is a text such as \"Class.method\", or a list of up to 16.";
                let names = texts(member).ok_or_else(|| problem::invalid(text))?;
                if names.len() > TOKEN_HANDLERS_MAX {
                    return Err(problem::invalid(text));
                }
                wish.handlers = names.into_iter().map(Arc::from).collect();
            }
            "mode" => {
                let text = "\"mode\" is \"auto\", \"share\", \"context\" or \"transfer\".";
                let mode = member.as_str().and_then(|name| name.parse().ok());
                wish.mode = Some(mode.ok_or_else(|| problem::invalid(text))?);
            }
            "confirm" => {
                let text = "\"confirm\" is \"never\", \"foreign\" or \"always\".";
                let confirm = member.as_str().and_then(|name| name.parse().ok());
                wish.confirm = Some(confirm.ok_or_else(|| problem::invalid(text))?);
            }
            "path" => {
                let text = member.as_str().ok_or_else(problem::no_path)?;
                path = Some(text.to_owned());
            }
            "sameBrowser" => {
                let text = "\"sameBrowser\" is true or false.";
                wish.same_browser = member.as_bool().ok_or_else(|| problem::invalid(text))?;
            }
            "param" => {
                let text = "\"param\" is the otp.param of the row that answers \"path\".";
                let name = member.as_str().ok_or_else(|| problem::invalid(text))?;
                wish.param = Some(name.to_owned());
            }
            _ => return Err(problem::invalid(SHAPE)),
        }
    }
    Ok(Wish::Mint(wish, path))
}

/// Whole seconds, written as JSON writes numbers: 30, 30.0 and 3e1 are the same (RFC 8259 §6).
fn secs(member: &Value) -> Result<u64, Fault> {
    let text = "\"lifespan\" is a number of whole seconds.";
    if let Some(secs) = member.as_u64() {
        return Ok(secs);
    }
    let number = member.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
    let number = number.ok_or_else(|| problem::invalid(text))?;
    // What no duration can hold is longer than any token lives.
    Ok(Duration::try_from_secs_f64(number).map_or(TOKEN_LIFE_SECS_MAX, |span| span.as_secs()))
}

fn restore(body: Value) -> Result<Wish, Fault> {
    const SHAPE: &str = "The body is {\"token\": …}, with the token as a text; \"switch\" beside \
                         it is true or false.";
    let Value::Object(mut members) = body else { return Err(problem::invalid(SHAPE)) };
    let switch = match members.remove("switch") {
        None => false,
        Some(Value::Bool(switch)) => switch,
        Some(_) => return Err(problem::invalid(SHAPE)),
    };
    match (members.remove("token"), members.is_empty()) {
        (Some(Value::String(token)), true) => Ok(Wish::Restore(token, RestoreOptions { switch })),
        _ => Err(problem::invalid(SHAPE)),
    }
}

/// What privileges are wished for by a text, a list, or an object (4D `setPrivileges`).
fn privileges(body: Value) -> Result<Privileges, Fault> {
    let members = match body {
        Value::Object(members) => members,
        names => {
            let text = "The body is a text, a list of texts or an object.";
            let privileges = texts(names).ok_or_else(|| problem::invalid(text))?;
            return Ok(Privileges { privileges, ..Privileges::default() });
        }
    };
    let mut wish = Privileges::default();
    for (name, member) in members {
        let text = "\"privileges\" and \"roles\" are texts or lists of texts, \"userName\" is a \
                    text, \"keepDevices\" is true or false; there are no other members.";
        let invalid = || problem::invalid(text);
        match (name.as_str(), member) {
            ("privileges", names) => wish.privileges = texts(names).ok_or_else(invalid)?,
            ("roles", names) => wish.roles = texts(names).ok_or_else(invalid)?,
            ("userName", Value::String(name)) => wish.user_name = Some(name),
            ("keepDevices", Value::Bool(keeps)) => wish.keep_devices = keeps,
            _ => return Err(invalid()),
        }
    }
    Ok(wish)
}

/// One text, or a list of nothing but texts.
fn texts(value: Value) -> Option<Vec<String>> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    match value {
        Value::Array(values) => values.into_iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seconds_are_whole_however_they_are_written() {
        for (text, expected) in
            [("30", Some(30)), ("30.0", Some(30)), ("3e1", Some(30)), ("0", Some(0))]
        {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(secs(&value).ok(), expected, "{text}");
        }
        assert_eq!(secs(&json!(1e300)).ok(), Some(TOKEN_LIFE_SECS_MAX));
        for wrong in [json!(-1), json!(1.5), json!("30"), json!(null), json!([])] {
            assert_eq!(secs(&wrong).unwrap_err().code(), "invalid", "{wrong}");
        }
    }

    #[test]
    fn privileges_are_a_text_a_list_or_an_object() {
        let names = |body| privileges(body).map(|wish| wish.privileges).ok();
        assert_eq!(names(json!("a,b")), Some(vec!["a,b".to_owned()]));
        assert_eq!(names(json!(["a", "b"])), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(names(json!({ "privileges": "a" })), Some(vec!["a".to_owned()]));
        for wrong in [json!(1), json!([1]), json!({ "userName": null }), json!({ "rights": "a" })] {
            assert!(privileges(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
