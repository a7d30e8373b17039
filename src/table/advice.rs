//! Suggestions for mistakes in a row: a property in the wrong object, under another program's name,
//! or with a value of another type.

use super::problem::Flaw;
use super::problem::one_of;
use super::raw::Member;
use super::raw::SpannedValue;
use super::raw::ValueKind;
use crate::base::text::nearest::nearest;

/// The properties of each object in a row; the row itself is the empty text.
const HOMES: [(&str, &[&str]); 5] = [
    (
        "",
        &[
            "class",
            "method",
            "forward",
            "pattern",
            "regexPattern",
            "verbs",
            "requires",
            "otp",
            "repeat",
            "onInterrupted",
            "limits",
        ],
    ),
    ("otp", &["param", "mode", "confirm", "strip", "onRefused"]),
    ("otp.onRefused", &["status", "redirect"]),
    ("limits", &["bodyBytes", "timeoutMs"]),
    ("requires", &["any", "signIn"]),
];

/// Names that other programs use for properties of a row.
const OTHER_NAMES: [(&[&str], &str); 9] = [
    (&["verb", "methods", "httpMethods", "httpMethod"], "verbs"),
    (&["path", "url", "uri", "route", "prefix", "endpoint"], "pattern"),
    (&["regex", "regexp", "match", "rewrite"], "regexPattern"),
    (&["function", "func", "action"], "method"),
    (&["singleton", "controller", "module"], "class"),
    (&["upstream", "proxy", "proxy_pass", "target", "backend", "destination"], "forward"),
    (
        &["privilege", "privileges", "permission", "permissions", "role", "roles", "auth"],
        "requires",
    ),
    (&["timeout", "timeoutSecs", "maxBody", "maxBodySize", "bodyLimit"], "limits"),
    (&["ttl", "cache", "dedupe", "idempotent", "repeatSecs"], "repeat"),
];

/// How to fix a property that is unknown in its object. `owner` is empty for a row and otherwise
/// ends with a dot, such as `otp.`.
pub(super) fn of_unknown(owner: &str, member: &Member<'_>, known: &[&str]) -> String {
    let key = &*member.key;
    let place = owner.trim_end_matches('.');
    let same = |name: &&&str| name.eq_ignore_ascii_case(key);
    let home = HOMES.iter().find_map(|(home, names)| Some((*home, *names.iter().find(same)?)));
    if let Some((home, name)) = home.filter(|(home, _)| *home != place) {
        let value = shown(&member.value);
        return match home {
            "" => format!("move it out of {place:?} into the row: \"{name}\": {value}"),
            "otp.onRefused" => {
                format!(
                    "move it into \"otp\": \"otp\": {{ \"onRefused\": {{ \"{name}\": {value} }} }}"
                )
            }
            home => format!("move it into {home:?}: \"{home}\": {{ \"{name}\": {value} }}"),
        };
    }
    let other = OTHER_NAMES.iter().find(|(names, _)| names.iter().any(|name| same(&name)));
    if let (true, Some((_, name))) = (owner.is_empty(), other) {
        return format!("write {name:?} if that is meant, or remove it");
    }
    if let Some(known) = nearest(key, known.iter().copied()) {
        return format!("write {known:?} if that is meant, or remove it");
    }
    if owner.is_empty() && key.eq_ignore_ascii_case("handler") {
        if let Some((class, method)) = split(&member.value) {
            return format!("write \"class\": {class:?}, \"method\": {method:?}");
        }
        return "write \"class\" and \"method\" for what answers".to_owned();
    }
    format!("remove it, or use {}", one_of(known))
}

/// A short value, formatted to be copied.
fn shown(value: &SpannedValue<'_>) -> String {
    match &value.kind {
        ValueKind::Bool(flag) => flag.to_string(),
        ValueKind::Number(number) => (*number).to_owned(),
        ValueKind::Text(text) if text.len() <= 40 => format!("{text:?}"),
        ValueKind::Null | ValueKind::Text(_) | ValueKind::List(_) | ValueKind::Object(_) => {
            "…".to_owned()
        }
    }
}

/// How to fix verbs that are not text: a list of names can be written as one text.
pub(super) fn verbs(value: &SpannedValue<'_>, flaw: Flaw) -> Flaw {
    let ValueKind::List(items) = &value.kind else {
        return Flaw { fix: "write one text, such as \"GET, POST\"".to_owned(), ..flaw };
    };
    let name = |item: &SpannedValue<'_>| item.text("verbs").ok().map(str::to_ascii_uppercase);
    let names: Option<Vec<String>> = items.iter().map(name).collect();
    let names = names.filter(|names| !names.is_empty() && names.len() <= 9);
    let text = names.map_or_else(|| "GET, POST".to_owned(), |names| names.join(", "));
    let such = if items.is_empty() { ", such as" } else { ":" };
    Flaw { fix: format!("write one text{such} {text:?}"), ..flaw }
}

/// How to fix a row without a function, which may be part of its class name.
pub(super) fn missing_method(class: Option<&SpannedValue<'_>>) -> Option<String> {
    let (class, method) = class.and_then(split)?;
    Some(format!("write the two apart: \"class\": {class:?}, \"method\": {method:?}"))
}

/// Splits a class and its function that are written as one text, such as `Mail.paid`.
fn split(value: &SpannedValue<'_>) -> Option<(String, String)> {
    let text = value.text("class").ok()?;
    let (class, method) = text.trim_end_matches("()").rsplit_once(['.', '#', ':', '@'])?;
    let class = class.trim_end_matches(':');
    let is_function = method.starts_with(|c: char| c.is_lowercase()) && !is_ending(method);
    (is_function && is_name(class) && is_name(method))
        .then(|| (class.to_owned(), method.to_owned()))
}

fn is_ending(text: &str) -> bool {
    matches!(text, "js" | "mjs" | "cjs" | "ts" | "jsx" | "tsx" | "4dm")
}

/// The class that a file defines, such as `Mail` for `classes/Mail.js`; none if the text is not a
/// file name.
pub(crate) fn class_of_file(text: &str) -> Option<&str> {
    let file = text.rsplit(['/', '\\']).next().unwrap_or(text);
    let bare = file.rsplit_once('.').filter(|(_, end)| is_ending(end)).map(|(bare, _)| bare);
    let name = bare.unwrap_or(file);
    (name != text && is_name(name)).then_some(name)
}

/// The identifier within a text that is not one, such as `paid` in `paid()`.
pub(super) fn bare_name(text: &str) -> Option<&str> {
    let text = text.trim();
    let name = text.split('(').next().unwrap_or_default().trim();
    let name = name.strip_prefix("function ").unwrap_or(name).trim();
    (name != text && is_name(name)).then_some(name)
}

fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
    };
    text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_class() {
        for (text, class) in [
            ("Mail.js", Some("Mail")),
            ("classes/Mail.js", Some("Mail")),
            ("./classes/Mail", Some("Mail")),
            ("classes\\Mail.js", Some("Mail")),
            ("callgate.Accounts", None),
            ("Mail", None),
            ("../x y.js", None),
        ] {
            assert_eq!(class_of_file(text), class, "{text}");
        }
    }

    #[test]
    fn a_call_names_its_function() {
        assert_eq!(bare_name("paid()"), Some("paid"));
        assert_eq!(bare_name("paid(request, session)"), Some("paid"));
        assert_eq!(bare_name("function paid()"), Some("paid"));
        assert_eq!((bare_name("paid"), bare_name("()"), bare_name("a b")), (None, None, None));
    }
}
