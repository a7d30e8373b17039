//! Reads `permissions` of `roles.json` as strictly as the rest of it: an entry that is misspelt, or
//! about something that callgate does not serve, would protect nothing.

use std::ops::Range;
use std::sync::Arc;

use crate::base::document::Flaw;
use crate::base::document::fields::Fields;
use crate::base::document::one_of;
use crate::base::document::raw::SpannedValue;
use crate::base::document::raw::ValueKind;
use crate::base::text::nearest::nearest;
use crate::session::permissions::Allowed;
use crate::session::permissions::Permissions;
use crate::session::permissions::Permitted;
use crate::session::permissions::Scope;
use crate::session::roles_file::RolesDiagnostics;
use crate::session::roles_file::fold;
use crate::session::roles_file::texts;

/// The types of 4D that concern functions, and those of data classes.
const TYPES: [&str; 4] = ["datastore", "singleton", "singletonMethod", "method"];
const DATA_TYPES: [&str; 2] = ["dataclass", "attribute"];
/// Actions on data, which `ds` may list as the tools of 4D write them, without effect here.
const DATA_ACTIONS: [&str; 5] = ["read", "create", "update", "drop", "describe"];
/// How functions of the datastore are written in `applyTo`, and the class that has them.
const DATASTORE: &str = "ds";
const DATASTORE_CLASS: &str = "datastore";

/// A name that an entry lists, to be found among the privileges of the file.
pub(super) type Listed = (String, Range<usize>);

/// Reads `permissions`, and returns every privilege that it names.
pub(super) fn read(
    notes: &mut RolesDiagnostics<'_>,
    value: SpannedValue<'_>,
    permissions: &mut Permissions,
) -> Vec<Listed> {
    let span = value.span.clone();
    let mut listed = Vec::new();
    let Some(mut fields) = notes.keep(&span, Fields::of(value, "permissions")) else {
        return listed;
    };
    if let Some(allowed) = fields.take("allowed") {
        match allowed.kind {
            ValueKind::List(items) => {
                for item in items {
                    entry(notes, item, permissions, &mut listed);
                }
            }
            other => {
                let what = format!("permissions.allowed cannot be {}", other.name());
                let fix = "write a list of objects, such as [{ \"applyTo\": \"ds\", \
                           \"type\": \"datastore\", \"execute\": [\"admin\"] }]";
                notes.note(&allowed.span, Flaw::new("wrong-type", what, fix));
            }
        }
    }
    notes.unknown(fields, "permissions.", &["allowed"]);
    listed
}

fn entry(
    notes: &mut RolesDiagnostics<'_>,
    value: SpannedValue<'_>,
    permissions: &mut Permissions,
    listed: &mut Vec<Listed>,
) {
    let span = value.span.clone();
    let owner = "an entry of permissions.allowed";
    let Some(mut fields) = notes.keep(&span, Fields::of(value, owner)) else { return };
    let (kind, target) = (fields.take("type"), fields.take("applyTo"));
    let mut list = |notes: &mut RolesDiagnostics<'_>, fields: &mut Fields<'_>, name: &str| {
        let value = fields.take(name)?;
        let span = value.span.clone();
        let names = texts(notes, value, &format!("permissions.allowed.{name}"));
        let all: Box<[Arc<str>]> = names.iter().map(|(name, _)| name.as_str().into()).collect();
        listed.extend(names);
        Some((all, span))
    };
    let execute = list(notes, &mut fields, "execute");
    let promote = list(notes, &mut fields, "promote");
    let is_all = kind.as_ref().is_some_and(|kind| matches!(kind.text(""), Ok("datastore")));
    for action in DATA_ACTIONS.into_iter().filter(|_| is_all) {
        list(notes, &mut fields, action);
    }
    for ignored in ["comment", "id"] {
        fields.take(ignored);
    }
    notes.unknown(fields, "permissions.allowed.", &["applyTo", "type", "execute", "promote"]);
    if let Some((names, span)) = &execute
        && names.is_empty()
    {
        let what = "execute is an empty list, which lets nobody in";
        let fix = "list privileges, or \"guest\" for everybody, or take it out";
        notes.note(span, Flaw::new("empty-list", what, fix));
    }
    let (Some(kind), Some(target)) = (kind, target) else {
        let what = format!("{owner} needs \"type\" and \"applyTo\"");
        let fix = "write both, such as \"type\": \"singletonMethod\", \"applyTo\": \"Shop.pay\"";
        return notes.note(&span, Flaw::new("missing-property", what, fix));
    };
    let Some(scope) = scope(notes, &kind, &target) else { return };
    let (line, column) = notes.position(target.span.start);
    permissions.named.extend(named(&scope, &target).map(|(class, function)| Permitted {
        class,
        function,
        line,
        column,
    }));
    let allowed =
        Allowed { execute: execute.map(|(all, _)| all), promote: promote.map(|(all, _)| all) };
    if permissions.allowed.insert(scope, allowed).is_some() {
        let what = "this is the second entry about the same thing";
        let fix = "put both into one entry; the case of letters does not count";
        notes.note(&target.span, Flaw::new("duplicate-permission", what, fix));
    }
}

/// What the entry is about.
fn scope(
    notes: &mut RolesDiagnostics<'_>,
    kind: &SpannedValue<'_>,
    target: &SpannedValue<'_>,
) -> Option<Scope> {
    let word = notes.keep(&kind.span, kind.text("permissions.allowed.type").map(str::trim))?;
    let name = target.text("permissions.allowed.applyTo").map(str::trim);
    let name = notes.keep(&target.span, name)?;
    if DATA_TYPES.contains(&word) {
        let what =
            format!("a permission of type {word:?} is about data, which callgate does not serve");
        let fix = "take it out: it would protect nothing here";
        notes.note(&kind.span, Flaw::new("not-enforced", what, fix));
        return None;
    }
    let bad = |example: &str| {
        let what = format!("applyTo {name:?} is not what type {word:?} applies to");
        Flaw::new("bad-apply-to", what, format!("write it such as {example:?}"))
    };
    let is_plain = !name.is_empty() && name.split('.').all(|part| !part.trim().is_empty());
    let read = match (word, name.rsplit_once('.')) {
        ("datastore", None) if name.eq_ignore_ascii_case(DATASTORE) => Ok(Scope::All),
        ("datastore", _) => Err(bad("ds")),
        ("singleton", _) if is_plain => Ok(Scope::Class(fold(name))),
        ("singleton", _) => Err(bad("Shop")),
        ("method", Some((class, function))) if is_plain => Ok(function_of(class, function)),
        ("method", _) => Err(bad("ds.authentify")),
        ("singletonMethod", Some((class, function))) if is_plain => {
            Ok(Scope::Function(fold(class), fold(function)))
        }
        ("singletonMethod", _) => Err(bad("Shop.pay")),
        _ => {
            let what = format!("unknown type {word:?} of a permission");
            let fix = match nearest(word, TYPES) {
                Some(known) => format!("write {known:?} if that is meant"),
                None => format!("use {}", one_of(&TYPES)),
            };
            notes.note(&kind.span, Flaw::new("unknown-type", what, fix));
            return None;
        }
    };
    notes.keep(&target.span, read)
}

/// The names in an entry about a class or a function, as they are written.
fn named(scope: &Scope, target: &SpannedValue<'_>) -> Option<(String, Option<String>)> {
    let name = target.text("").unwrap_or_default().trim();
    match scope {
        Scope::All => None,
        Scope::Class(_) => Some((name.to_owned(), None)),
        Scope::Function(..) => {
            let (class, function) = name.rsplit_once('.')?;
            let class = if fold(class) == DATASTORE { "DataStore" } else { class.trim() };
            Some((class.to_owned(), Some(function.trim().to_owned())))
        }
    }
}

/// `ds.fn` is a function of the class `DataStore`.
fn function_of(class: &str, function: &str) -> Scope {
    let class = fold(class);
    let class = if class == DATASTORE { DATASTORE_CLASS.to_owned() } else { class };
    Scope::Function(class, fold(function))
}
