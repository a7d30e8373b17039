//! The privileges that a row requires, and where a browser signs in that has none of them.

use crate::table::check::Diagnostics;
use crate::table::fields::Fields;
use crate::table::problem::Flaw;
use crate::table::raw::SpannedValue;
use crate::table::raw::ValueKind;
use crate::table::row::otp;

const SHAPE: &str = "name privileges, such as \"viewInvoices, admin\", or leave requires out";

/// The property `requires` of a row (docs/CONTRACT.md §3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Requires {
    /// Privileges of which the session needs any one; empty if none is required.
    pub(crate) any: Box<[Box<str>]>,
    /// The page of this site to which a guest's browser is sent, to come back afterwards.
    pub(crate) sign_in: Option<Box<str>>,
}

/// Reads `requires`: names in a text or a list, or an object of such names and a page.
pub(crate) fn read(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> Requires {
    if !matches!(value.kind, ValueKind::Object(_)) {
        return Requires { any: names(notes, value), sign_in: None };
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
    notes.unknown(fields, "requires.", &["any", "signIn"]);
    let Some(any) = any else {
        let what = "requires has no \"any\", so that it requires nothing";
        let fix = "write such as \"requires\": { \"any\": [\"member\"], \"signIn\": \"/signin\" }";
        notes.error(&span, Flaw::new("requires-empty", what, fix));
        return Requires::default();
    };
    Requires { any, sign_in }
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
