//! What a row requires of the session, and where a browser signs in that does not fulfil it.

use crate::table::check::Diagnostics;
use crate::table::fields::Fields;
use crate::table::pattern::Pattern;
use crate::table::problem::Flaw;
use crate::table::raw::SpannedValue;
use crate::table::raw::ValueKind;
use crate::table::row::otp;

const SHAPE: &str = "name privileges, such as \"viewInvoices, admin\", or leave requires out";

/// The property `requires` of a row (docs/CONTRACT.md §3). Of several requirements any one is
/// enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Requires {
    /// Privileges of which the session needs any one; may be empty.
    pub(crate) any: Box<[Box<str>]>,
    /// Whether it is enough to be signed in.
    pub(crate) signed: bool,
    /// The group of the pattern that holds the id of an account: it is enough to be signed in to
    /// that one.
    pub(crate) owner: Option<Box<str>>,
    /// The page of this site to which a guest's browser is sent, to come back afterwards.
    pub(crate) sign_in: Option<Box<str>>,
}

impl Requires {
    /// Whether every session may use the row.
    pub(crate) fn is_nothing(&self) -> bool {
        self.any.is_empty() && !self.signed && self.owner.is_none()
    }

    /// Reports that the pattern has no group of the name in `owner`.
    pub(crate) fn missing_group(&self, pattern: &Pattern) -> Option<Flaw> {
        let group = self.owner.as_ref().filter(|group| !pattern.has_group(group))?;
        Some(Flaw::new(
            "requires-owner",
            format!("requires.owner {group:?} names a group that the pattern does not have"),
            format!(
                "write a regexPattern with it, such as \"/orders/(?<{group}>[0-9a-f]{{32}})$\""
            ),
        ))
    }
}

/// Reads `requires`: names in a text or a list, or an object of requirements and a page.
pub(crate) fn read(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> Requires {
    if !matches!(value.kind, ValueKind::Object(_)) {
        return Requires { any: names(notes, value), ..Requires::default() };
    }
    let span = value.span.clone();
    let Some(mut fields) = notes.keep(&span, Fields::of(value, "requires")) else {
        return Requires::default();
    };
    let any = fields.take("any").map(|value| names(notes, value));
    let sign_in = fields.take("signIn").and_then(|value| {
        let path = otp::path_of_this_site("requires.signIn", &value);
        notes.keep(&value.span, path.map(Box::from))
    });
    let signed = fields.take("signed").and_then(|value| {
        let flag = value.flag("requires.signed");
        notes.keep(&value.span, flag)
    });
    let owner = fields.take("owner").and_then(|value| {
        let group = value.text("requires.owner");
        notes.keep(&value.span, group.map(Box::from))
    });
    notes.unknown(fields, "requires.", &["any", "signed", "owner", "signIn"]);
    if any.is_none() && owner.is_none() && signed != Some(true) {
        let what =
            "requires has none of \"any\", \"signed\" and \"owner\", so that it requires nothing";
        let fix = "write such as \"requires\": { \"any\": [\"member\"], \"signIn\": \"/signin\" }";
        notes.error(&span, Flaw::new("requires-empty", what, fix));
        return Requires::default();
    }
    let (any, signed) = (any.unwrap_or_default(), signed.unwrap_or_default());
    Requires { any, signed, owner, sign_in }
}

fn names(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> Box<[Box<str>]> {
    let span = value.span.clone();
    let mut names: Vec<Box<str>> = Vec::new();
    let values = match value.kind {
        ValueKind::List(items) => items,
        kind => vec![SpannedValue { span: span.clone(), kind }],
    };
    let none = || Flaw::new("requires-empty", "requires names no privilege", SHAPE);
    if values.is_empty() {
        notes.error(&span, none());
    }
    for value in values {
        let text = value.text("requires").map_err(|flaw| Flaw { fix: SHAPE.to_owned(), ..flaw });
        let Some(text) = notes.keep(&value.span, text) else { continue };
        if text.trim().is_empty() {
            notes.error(&value.span, none());
            continue;
        }
        for name in text.split(',').map(str::trim) {
            if name.is_empty() {
                let what = format!("requires {text:?} has an empty name");
                notes.error(&value.span, Flaw::new("requires-empty", what, SHAPE));
            } else if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
    }
    names.into()
}
