//! Makes the typed values of declared settings of what was given, and collects what is wrong.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::forms::Form;
use super::given::{Origin, Raw};
use super::kind::{BadValue, Value};
use super::{Declared, Entry, Shape};

/// What was given, and the problems with it so far.
#[derive(Debug)]
pub(crate) struct Values<'r> {
    raw: &'r Raw,
    problems: Vec<(String, Origin, BadValue)>,
}

impl<'r> Values<'r> {
    pub(crate) fn of(raw: &'r Raw) -> Self {
        Self { raw, problems: Vec::new() }
    }

    /// Every problem: the setting that it is about, where that came from, and what is wrong.
    pub(crate) fn into_problems(self) -> Vec<(String, Origin, BadValue)> {
        self.problems
    }

    /// The full name of a setting of the table `name`.
    pub(crate) fn below(name: &str, key: &str) -> String {
        if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
    }
}

impl<F: Form> Declared for F {
    type Value = F::Value;

    fn shape() -> Shape {
        Shape::Value(F::kind(), F::PLACEHOLDER)
    }

    fn take(values: &mut Values<'_>, name: &str, default: Option<Value>) -> Option<F::Value> {
        let given = values.raw.find(name);
        match given.map(|given| F::read(&given.value)) {
            Some(Ok(value)) => return Some(value),
            Some(Err(bad)) => values.problems.push((name.to_owned(), values.raw.origin(name), bad)),
            None => {}
        }
        let default = default.map(|default| F::read(&F::kind().of_default(default)));
        let value = default.and_then(Result::ok).or_else(F::unset);
        if value.is_none() && given.is_none() {
            // The place of the table that it is missing from.
            let table = name.rsplit_once('.').map_or("", |(table, _)| table);
            let (what, fix) = ("is not set".to_owned(), "set it".to_owned());
            let bad = BadValue { code: "missing-setting", what, fix };
            values.problems.push((name.to_owned(), values.table_origin(table), bad));
        }
        value
    }
}

impl Values<'_> {
    fn table_origin(&self, table: &str) -> Origin {
        let parent = table.rsplit_once(['.', '[']).map_or("", |(parent, _)| parent);
        let tables = self.raw.tables(parent).iter();
        let mut found = tables.filter(|(known, _)| known == table);
        found.next().map_or(Origin::Default, |(_, origin)| origin.clone())
    }
}

/// The settings of a declared struct.
fn entries<P: Declared>() -> Vec<Entry> {
    match P::shape() {
        Shape::Section(entries) => entries,
        Shape::Value(..) | Shape::Named(_) | Shape::List(_) => Vec::new(),
    }
}

/// Named tables: `[oidc.google]`, `[oidc.other]`.
impl<P: Declared> Declared for BTreeMap<String, P> {
    type Value = BTreeMap<String, P::Value>;

    fn shape() -> Shape {
        Shape::Named(entries::<P>())
    }

    fn take(values: &mut Values<'_>, name: &str, _: Option<Value>) -> Option<Self::Value> {
        let tables = values.raw.tables(name).iter();
        let taken = tables.filter_map(|(table, _)| {
            let own = table.get(name.len() + 1..)?.to_owned();
            P::take(values, table, None).map(|part| (own, part))
        });
        Some(taken.collect())
    }
}

/// A list of tables: `[[mail.from]]`, as often as it is wanted.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct Tables<P>(PhantomData<P>);

#[cfg(any(test, feature = "testing"))]
impl<P: Declared> Declared for Tables<P> {
    type Value = Vec<P::Value>;

    fn shape() -> Shape {
        Shape::List(entries::<P>())
    }

    fn take(values: &mut Values<'_>, name: &str, _: Option<Value>) -> Option<Self::Value> {
        let tables = values.raw.tables(name).iter();
        Some(tables.filter_map(|(table, _)| P::take(values, table, None)).collect())
    }
}
