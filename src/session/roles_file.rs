//! Reads `roles.json` as strictly as the handler table: a misspelt name would be a protection that
//! does not exist. Its `permissions` are read by `permissions_file`.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use crate::base::document;
use crate::base::document::Flaw;
use crate::base::document::Lines;
use crate::base::document::fields::Fields;
use crate::base::document::one_of;
use crate::base::document::raw::FileFormat;
use crate::base::document::raw::SpannedValue;
use crate::base::document::raw::ValueKind;
use crate::base::document::text::decode;
use crate::base::limits::PRIVILEGE_BYTES_MAX;
use crate::base::text::nearest::nearest;
use crate::session::permissions::GUEST;
use crate::session::permissions::Permissions;
use crate::session::permissions_file;
use crate::session::permissions_file::Listed;

const FORM: FileFormat = FileFormat {
    noun: "roles",
    one_root: "keep one object; put everything into it",
    levels: "roles are an object of lists and need no more than five levels",
    example: "{ \"privileges\": [{ \"privilege\": \"admin\" }] }",
    smaller: "move comments out",
};

/// One problem of a `roles.json`, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRoles {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// A stable code of this kind of problem, in kebab case.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub fix: String,
    /// The bytes of the file to underline.
    pub span: Option<Range<usize>>,
}

impl fmt::Display for BadRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl std::error::Error for BadRoles {}

/// The text of a `roles.json`, or what the file is instead.
pub(super) fn text(bytes: &[u8]) -> Result<&str, BadRoles> {
    decode(bytes).map_err(|bad| BadRoles {
        line: bad.line,
        column: bad.column,
        code: "not-utf-8",
        what: bad.what,
        fix: bad.fix.to_owned(),
        span: None,
    })
}

/// A name in the file and its position.
pub(super) struct RoleEntry {
    pub(super) name: String,
    span: Range<usize>,
    /// The included privileges, or those of a role.
    pub(super) names: Vec<(String, Range<usize>)>,
}

/// The definitions of a file.
#[derive(Default)]
pub(super) struct Defined {
    pub(super) privileges: Vec<RoleEntry>,
    pub(super) roles: Vec<RoleEntry>,
    pub(super) permissions: Permissions,
    /// Every privilege that a permission names.
    permitted: Vec<Listed>,
}

/// Reads a file, or returns everything that is wrong with it, in its order.
pub(super) fn read(text: &str) -> Result<Defined, Vec<BadRoles>> {
    let document = document::read(text, &FORM);
    let mut notes =
        RolesDiagnostics { lines: Lines::of(text), unread: Vec::new(), problems: Vec::new() };
    let is_well_formed = document.flaws.is_empty();
    for (span, flaw) in document.flaws {
        notes.note(&span, flaw);
    }
    notes.unread = document.unread;
    let mut defined = Defined::default();
    match document.root {
        Some(root) => {
            duplicate_keys(&mut notes, &root);
            if let Some(found) = root_of(&mut notes, root) {
                defined = found;
            }
        }
        None if is_well_formed => {
            let fix = "write {} for no privileges at all, or remove the file";
            notes.note(&(0..0), Flaw::new("not-an-object", "the file is empty", fix));
        }
        None => {}
    }
    check_names(&mut notes, &defined);
    let RolesDiagnostics { mut problems, .. } = notes;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.is_empty() { Ok(defined) } else { Err(problems) }
}

/// The problems found so far.
pub(super) struct RolesDiagnostics<'t> {
    lines: Lines<'t>,
    unread: Vec<Range<usize>>,
    problems: Vec<BadRoles>,
}

impl RolesDiagnostics<'_> {
    pub(super) fn note(&mut self, span: &Range<usize>, flaw: Flaw) {
        if self.unread.iter().any(|unread| unread.contains(&span.start)) {
            return;
        }
        let (line, column) = self.lines.position(span.start);
        let Flaw { code, what, fix, .. } = flaw;
        self.problems.push(BadRoles { line, column, code, what, fix, span: Some(span.clone()) });
    }

    pub(super) fn position(&self, at: usize) -> (u32, u32) {
        self.lines.position(at)
    }

    pub(super) fn keep<T>(&mut self, span: &Range<usize>, read: Result<T, Flaw>) -> Option<T> {
        read.map_err(|flaw| self.note(span, flaw)).ok()
    }

    /// Unknown properties are errors: a misspelt `forceLogin` would let every caller in.
    pub(super) fn unknown(&mut self, fields: Fields<'_>, owner: &str, known: &[&str]) {
        for member in fields.rest() {
            let fix = match nearest(&member.key, known.iter().copied()) {
                Some(known) => format!("write {known:?} if that is meant, or remove it"),
                None => format!("remove it, or use {}", one_of(known)),
            };
            let what = format!("unknown property {:?}", format!("{owner}{}", member.key));
            self.note(&member.key_span, Flaw::new("unknown-property", what, fix));
        }
    }
}

/// JSON readers differ in which of two equal keys they use.
fn duplicate_keys(notes: &mut RolesDiagnostics<'_>, value: &SpannedValue<'_>) {
    match &value.kind {
        ValueKind::List(items) => items.iter().for_each(|item| duplicate_keys(notes, item)),
        ValueKind::Object(members) => {
            let mut seen: HashMap<&str, u32> = HashMap::with_capacity(members.len());
            for member in members {
                let (line, _) = notes.lines.position(member.key_span.start);
                if let Some(first) = seen.get(&*member.key) {
                    let what = format!("{:?} is given twice, first at line {first}", member.key);
                    let flaw = Flaw::new("duplicate-key", what, "keep one of the two");
                    notes.note(&member.key_span, flaw);
                } else {
                    seen.insert(&member.key, line);
                }
                duplicate_keys(notes, &member.value);
            }
        }
        _ => {}
    }
}

fn root_of(notes: &mut RolesDiagnostics<'_>, root: SpannedValue<'_>) -> Option<Defined> {
    let span = root.span.clone();
    if !matches!(root.kind, ValueKind::Object(_)) {
        let what = format!("roles are an object, not {}", root.kind.name());
        let fix = "write { \"privileges\": [ … ], \"roles\": [ … ] }";
        notes.note(&span, Flaw::new("not-an-object", what, fix));
        return None;
    }
    let mut fields = notes.keep(&span, Fields::of(root, "roles"))?;
    let list = |notes: &mut RolesDiagnostics<'_>, fields: &mut Fields<'_>, (name, item, inner)| {
        let value = fields.take(name);
        value.map(|value| entries(notes, value, (name, item, inner))).unwrap_or_default()
    };
    let privileges = list(notes, &mut fields, ("privileges", "privilege", "includes"));
    let roles = list(notes, &mut fields, ("roles", "role", "privileges"));
    let mut permissions = Permissions::default();
    let permitted = fields.take("permissions");
    let permitted = permitted.map(|value| permissions_file::read(notes, value, &mut permissions));
    let mut flag = |notes: &mut RolesDiagnostics<'_>, name: &str| {
        let value = fields.take(name)?;
        notes.keep(&value.span, value.flag(name))
    };
    permissions.forces_login = flag(notes, "forceLogin").unwrap_or_default();
    permissions.restricted = flag(notes, "restrictedByDefault").unwrap_or_default();
    for ignored in ["$schema", "comment", "id"] {
        fields.take(ignored);
    }
    let known = ["privileges", "roles", "permissions", "forceLogin", "restrictedByDefault"];
    notes.unknown(fields, "", &known);
    let permitted = permitted.unwrap_or_default();
    Some(Defined { privileges, roles, permissions, permitted })
}

/// A list of objects that have a name and list other names: `privileges` or `roles`.
fn entries(
    notes: &mut RolesDiagnostics<'_>,
    value: SpannedValue<'_>,
    (list, item, inner): (&str, &str, &str),
) -> Vec<RoleEntry> {
    let ValueKind::List(items) = value.kind else {
        let what = format!("{list} cannot be {}", value.kind.name());
        let fix = format!("write a list of objects, such as [{{ \"{item}\": \"admin\" }}]");
        notes.note(&value.span, Flaw::new("wrong-type", what, fix));
        return Vec::new();
    };
    items.into_iter().filter_map(|entry| named(notes, entry, (list, item, inner))).collect()
}

fn named(
    notes: &mut RolesDiagnostics<'_>,
    entry: SpannedValue<'_>,
    (list, item, inner): (&str, &str, &str),
) -> Option<RoleEntry> {
    let span = entry.span.clone();
    let mut fields = notes.keep(&span, Fields::of(entry, &format!("an entry of {list}")))?;
    let name = fields.take(item);
    let names = fields.take(inner).map(|value| texts(notes, value, &format!("{list}.{inner}")));
    for ignored in ["comment", "id"] {
        fields.take(ignored);
    }
    notes.unknown(fields, &format!("{list}."), &[item, inner]);
    let Some(value) = name else {
        let what = format!("an entry of {list} has no {item:?}");
        let fix = format!("name it: \"{item}\": \"admin\"");
        notes.note(&span, Flaw::new("missing-property", what, fix));
        return None;
    };
    let name = notes.keep(&value.span, value.text(&format!("{list}.{item}")))?.trim().to_owned();
    notes.keep(&value.span, usable(item, &name))?;
    Some(RoleEntry { name, span: value.span, names: names.unwrap_or_default() })
}

/// Whether a name can be granted: commas separate names, and names have a maximum length.
fn usable(item: &str, name: &str) -> Result<(), Flaw> {
    let (what, fix) = if name.is_empty() {
        (format!("a {item} has no name"), "name it, or remove the entry".to_owned())
    } else if name.contains(',') {
        let what = format!("the {item} {name:?} has a comma, which separates names");
        (what, "write one entry for each name".to_owned())
    } else if name.len() > PRIVILEGE_BYTES_MAX {
        let what = format!("the name of a {item} has {} bytes", name.len());
        (what, format!("shorten it to {PRIVILEGE_BYTES_MAX} bytes"))
    } else {
        return Ok(());
    };
    Err(Flaw::new("bad-name", what, fix))
}

pub(super) fn texts(
    notes: &mut RolesDiagnostics<'_>,
    value: SpannedValue<'_>,
    owner: &str,
) -> Vec<(String, Range<usize>)> {
    let ValueKind::List(items) = value.kind else {
        let what = format!("{owner} cannot be {}", value.kind.name());
        notes.note(&value.span, Flaw::new("wrong-type", what, "write a list of names"));
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in items {
        let text = item.text(&format!("a name in {owner}")).map(|text| text.trim().to_owned());
        names.extend(notes.keep(&item.span, text).map(|text| (text, item.span.clone())));
    }
    names
}

/// Reports names that are defined twice, and names that are not defined.
fn check_names(notes: &mut RolesDiagnostics<'_>, defined: &Defined) {
    let lists = [("privilege", &defined.privileges), ("role", &defined.roles)];
    for (item, list) in lists {
        let mut seen: HashMap<String, u32> = HashMap::new();
        for RoleEntry { name, span, .. } in list {
            let (line, _) = notes.lines.position(span.start);
            if let Some(first) = seen.get(&fold(name)) {
                let what = format!("{item} {name:?} is defined twice, first at line {first}");
                let fix = "keep one of the two; the case of letters does not count";
                notes.note(span, Flaw::new("duplicate-name", what, fix));
            } else {
                seen.insert(fold(name), line);
            }
        }
    }
    let known: Vec<&str> = defined.privileges.iter().map(|it| &*it.name).collect();
    for (item, list) in lists {
        let verb = if item == "role" { "has" } else { "includes" };
        for RoleEntry { name, names, .. } in list {
            for (other, span) in names {
                if known.iter().any(|known| fold(known) == fold(other)) {
                    continue;
                }
                let what = format!("{item} {name:?} {verb} {other:?}, which is no privilege here");
                notes.note(span, undefined(what, other, &known));
            }
        }
    }
    for (name, span) in &defined.permitted {
        if fold(name) != GUEST && !known.iter().any(|known| fold(known) == fold(name)) {
            let what = format!("a permission names {name:?}, which is no privilege here");
            notes.note(span, undefined(what, name, &known));
        }
    }
}

fn undefined(what: String, name: &str, known: &[&str]) -> Flaw {
    let fix = match nearest(name, known.iter().copied()) {
        Some(known) => format!("write {known:?} if that is meant, or define it"),
        None => format!("add {{ \"privilege\": {name:?} }} to \"privileges\""),
    };
    Flaw::new("unknown-privilege", what, fix)
}

/// The form in which names are compared.
pub(super) fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let problems = read(text).err().unwrap_or_default();
        problems
            .iter()
            .map(|bad| format!("{}:{} {} {bad}", bad.line, bad.column, bad.code))
            .collect()
    }

    #[test]
    fn what_4d_writes_for_nothing_passes() {
        let text = r#"{ "privileges": [{ "privilege": "a", "includes": [] }],
            "roles": [{ "role": "r", "privileges": ["A"], "id": 1 }],
            "permissions": { "allowed": [] }, "forceLogin": false, "restrictedByDefault": false }"#;
        assert_eq!(lines(text), [""; 0]);
        assert_eq!(lines("{}"), [""; 0]);
    }

    /// A file whose only permission is `entry`.
    fn permitting(entry: &str) -> String {
        format!(
            "{{\"privileges\": [{{\"privilege\": \"admin\"}}],\n\"permissions\": {{\"allowed\": [\n{entry}]}}}}"
        )
    }

    #[test]
    fn a_permission_that_would_protect_nothing_is_an_error() {
        for (entry, line) in [
            (
                r#"{"applyTo": "A.b", "type": "singletonMethod", "exec": ["admin"]}"#,
                "3:47 unknown-property unknown property \"permissions.allowed.exec\"; write \"execute\"",
            ),
            (
                r#"{"applyTo": "A.b", "type": "singletonMethod", "read": ["admin"]}"#,
                "3:47 unknown-property unknown property \"permissions.allowed.read\"",
            ),
            (
                r#"{"applyTo": "A.b", "type": "singletonmethod", "execute": ["admin"]}"#,
                "3:28 unknown-type unknown type \"singletonmethod\" of a permission; write \"singletonMethod\"",
            ),
            (
                r#"{"applyTo": "A", "type": "singletonMethod", "execute": ["admin"]}"#,
                "3:13 bad-apply-to applyTo \"A\" is not what type \"singletonMethod\" applies to",
            ),
            (r#"{"applyTo": "A", "type": "datastore", "execute": ["admin"]}"#, "3:13 bad-apply-to"),
            (
                r#"{"applyTo": "A.x", "type": "attribute", "read": ["admin"]}"#,
                "3:28 not-enforced a permission of type \"attribute\" is about data",
            ),
            (
                r#"{"applyTo": "A.b", "type": "method", "execute": ["admn"]}"#,
                "3:50 unknown-privilege a permission names \"admn\", which is no privilege here; write \"admin\"",
            ),
            (r#"{"applyTo": "A.b", "type": "method", "execute": []}"#, "3:49 empty-list"),
            (r#"{"applyTo": "A.b", "type": "method", "execute": "admin"}"#, "3:49 wrong-type"),
            (r#"{"applyTo": "A.b", "execute": ["admin"]}"#, "3:1 missing-property"),
            (
                r#"{"applyTo": "A.b", "type": "method", "execute": ["admin"]}, {"applyTo": "a.B", "type": "singletonMethod"}"#,
                "3:73 duplicate-permission",
            ),
        ] {
            let found = lines(&permitting(entry));
            assert!(found.iter().any(|it| it.starts_with(line)), "{entry}: {found:#?}");
        }
        let all = r#"{"applyTo": "ds", "type": "datastore", "read": ["admin"], "create": ["admin"],
            "update": ["admin"], "drop": ["admin"], "execute": ["admin"], "promote": ["admin"]},
            {"applyTo": "Shop", "type": "singleton", "execute": ["guest"]}"#;
        assert_eq!(lines(&permitting(all)), [""; 0]);
        assert_eq!(lines("{\"forceLogin\": true, \"restrictedByDefault\": true}"), [""; 0]);
    }

    #[test]
    fn what_is_misspelt_is_an_error_with_the_nearest_name() {
        for (text, line) in [
            (
                "{\"forceLogn\": false}",
                "1:2 unknown-property unknown property \"forceLogn\"; write \"forceLogin\"",
            ),
            (
                "{\"x\": 1}",
                "1:2 unknown-property unknown property \"x\"; remove it, or use \"privileges\"",
            ),
            ("[]", "1:1 not-an-object roles are an object, not a list; write {"),
            ("", "1:1 not-an-object the file is empty; write {}"),
            (
                "{\"permissions\": {\"allow\": []}}",
                "1:18 unknown-property unknown property \"permissions.allow\"; write \"allowed\"",
            ),
            ("{\"permissions\": []}", "1:17 wrong-type permissions cannot be a list"),
            (
                "{\"permissions\": {\"allowed\": {}}}",
                "1:29 wrong-type permissions.allowed cannot be an object",
            ),
            (
                "{\"forceLogin\": \"true\"}",
                "1:16 wrong-type forceLogin cannot be text; write true or false",
            ),
            ("{\"privileges\": {}}", "1:16 wrong-type privileges cannot be an object"),
            ("{\"privileges\": [\"a\"]}", "1:17 wrong-type an entry of privileges cannot be text"),
            (
                "{\"privileges\": [{\"name\": \"a\"}]}",
                "1:17 missing-property an entry of privileges has no \"privilege\"",
            ),
            ("{\"privileges\": [{\"privilege\": \" \"}]}", "1:31 bad-name a privilege has no name"),
            (
                "{\"privileges\": [{\"privilege\": \"a,b\"}]}",
                "1:31 bad-name the privilege \"a,b\" has a comma",
            ),
            (
                "{\"privileges\": [{\"privilege\": \"a\", \"include\": []}]}",
                "1:36 unknown-property unknown property \"privileges.include\"; write \"includes\"",
            ),
            (
                "{\"privileges\": [{\"privilege\": \"a\", \"includes\": \"b\"}]}",
                "1:48 wrong-type privileges.includes cannot be text",
            ),
            (
                "{\"privileges\": [{\"privilege\": \"admin\"}], \"roles\": [{\"role\": \"r\", \"privileges\": [\"admn\"]}]}",
                "1:81 unknown-privilege role \"r\" has \"admn\", which is no privilege here; write \"admin\"",
            ),
            (
                "{\"privileges\": [{\"privilege\": \"a\", \"includes\": [\"zzz\"]}]}",
                "1:49 unknown-privilege privilege \"a\" includes \"zzz\"",
            ),
            (
                "{\"privileges\": [{\"privilege\": \"a\"}, {\"privilege\": \"A\"}]}",
                "1:51 duplicate-name privilege \"A\" is defined twice",
            ),
            (
                "{\"roles\": [], \"roles\": []}",
                "1:15 duplicate-key \"roles\" is given twice, first at line 1",
            ),
            ("{\"roles\": [],}", "1:13 syntax a comma comes after the last item"),
        ] {
            let found = lines(text);
            assert!(found.iter().any(|it| it.starts_with(line)), "{text}: {found:#?}");
        }
    }

    #[test]
    fn every_problem_is_reported_whatever_else_is_broken() {
        let text = "{\n \"privileges\": [\n  { \"privilege\": \"a\",, },\n  { \"privilege\": nope },\n  \
                    { \"priv\": \"b\" }\n ],\n \"forceLogn\": true\n}";
        let found = lines(text);
        assert_eq!(found.len(), 5, "{found:#?}");
        let wide: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(super::text(&wide).unwrap_err().to_string(), "is UTF-16; save it as UTF-8");
    }
}
