//! Taking an object apart by property, with the property's name in every complaint.

use super::problem::Flaw;
use super::raw::Kind;
use super::raw::Member;
use super::raw::Value;

/// The members of one object that nobody has asked for yet.
#[derive(Debug)]
pub(super) struct Fields<'t>(Vec<Member<'t>>);

impl<'t> Fields<'t> {
    /// The members of `value`, which `property` must be.
    pub(super) fn of(value: Value<'t>, property: &str) -> Result<Self, Flaw> {
        match value.kind {
            Kind::Object(members) => Ok(Self(members)),
            other => Err(wrong_type(property, "an object in braces", &other)),
        }
    }

    /// Takes out the value of a property; of a repeated one the first.
    pub(super) fn take(&mut self, name: &str) -> Option<Value<'t>> {
        let at = self.0.iter().position(|member| member.key == name)?;
        let taken = self.0.remove(at).value;
        // Repeats were reported for the whole row already.
        self.0.retain(|member| member.key != name);
        Some(taken)
    }

    /// What is left, and therefore unknown.
    pub(super) fn rest(self) -> Vec<Member<'t>> {
        self.0
    }
}

impl Value<'_> {
    /// The value as text.
    pub(super) fn text(&self, property: &str) -> Result<&str, Flaw> {
        match &self.kind {
            Kind::Text(text) => Ok(text),
            other => Err(wrong_type(property, "text in double quotes", other)),
        }
    }

    /// The value as true or false.
    pub(super) fn flag(&self, property: &str) -> Result<bool, Flaw> {
        match &self.kind {
            Kind::Bool(flag) => Ok(*flag),
            other => Err(wrong_type(property, "true or false without quotes", other)),
        }
    }

    /// The value as a whole number within bounds, both included.
    pub(super) fn integer(&self, property: &str, min: u64, max: u64) -> Result<u64, Flaw> {
        let Kind::Number(text) = &self.kind else {
            return Err(wrong_type(property, "a number without quotes", &self.kind));
        };
        text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
            Flaw::new(
                "bad-number",
                format!("{property} cannot be {text}"),
                format!("write a whole number from {min} to {max}"),
            )
        })
    }
}

/// A value of another type than the property has.
pub(super) fn wrong_type(property: &str, wanted: &str, found: &Kind<'_>) -> Flaw {
    Flaw::new(
        "wrong-type",
        format!("{property} cannot be {}", found.name()),
        format!("write {wanted}"),
    )
}
