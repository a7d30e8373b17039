//! Reads an object property by property, with the name of the property in every error.

use std::ops::RangeInclusive;

use super::flaw::Flaw;
use super::quantity;
use super::raw::Member;
use super::raw::SpannedValue;
use super::raw::ValueKind;

/// The members of one object that have not been taken yet.
#[derive(Debug)]
pub(crate) struct Fields<'t>(Vec<Member<'t>>);

impl<'t> Fields<'t> {
    /// The members of `value`, which must be an object.
    pub(crate) fn of(value: SpannedValue<'t>, property: &str) -> Result<Self, Flaw> {
        match value.kind {
            ValueKind::Object(members) => Ok(Self(members)),
            other => Err(wrong_type(property, "an object in braces", &other)),
        }
    }

    /// Takes the value of a property, the first one if it is repeated.
    pub(crate) fn take(&mut self, name: &str) -> Option<SpannedValue<'t>> {
        let at = self.0.iter().position(|member| member.key == name)?;
        let taken = self.0.remove(at).value;
        // Repeated properties have been reported for the whole row already.
        self.0.retain(|member| member.key != name);
        Some(taken)
    }

    /// The value of a property, without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&SpannedValue<'t>> {
        self.0.iter().find(|member| member.key == name).map(|member| &member.value)
    }

    /// The members that were not taken, and therefore are unknown.
    pub(crate) fn rest(self) -> Vec<Member<'t>> {
        self.0
    }
}

impl SpannedValue<'_> {
    /// The value as text.
    pub(crate) fn text(&self, property: &str) -> Result<&str, Flaw> {
        match &self.kind {
            ValueKind::Text(text) => Ok(text),
            other => Err(wrong_type(property, "text in double quotes", other)),
        }
    }

    /// The value as true or false.
    pub(crate) fn flag(&self, property: &str) -> Result<bool, Flaw> {
        match &self.kind {
            ValueKind::Bool(flag) => Ok(*flag),
            other => Err(wrong_type(property, "true or false without quotes", other)),
        }
    }

    /// The value as a whole number within bounds, both included.
    pub(crate) fn integer(&self, property: &str, min: u64, max: u64) -> Result<u64, Flaw> {
        let ValueKind::Number(text) = &self.kind else {
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

    /// The value as a whole number of a unit, such as `seconds`. A text with a unit of its own is
    /// refused with the number to write instead.
    pub(crate) fn quantity(
        &self,
        property: &str,
        unit: &str,
        range: RangeInclusive<u64>,
    ) -> Result<u64, Flaw> {
        if let ValueKind::Text(text) = &self.kind {
            let number = quantity::in_unit(text, unit).filter(|number| range.contains(number));
            let example = number.map_or(String::new(), |number| format!(": {number}"));
            return Err(Flaw::new(
                "wrong-type",
                format!("{property} cannot be text"),
                format!("write the number of {unit} without quotes{example}"),
            ));
        }
        let read = self.integer(property, *range.start(), *range.end());
        read.map_err(|flaw| match flaw.code {
            "bad-number" => Flaw { fix: format!("{} ({unit})", flaw.fix), ..flaw },
            _ => flaw,
        })
    }
}

/// The value has another type than the property.
pub(crate) fn wrong_type(property: &str, wanted: &str, found: &ValueKind<'_>) -> Flaw {
    Flaw::new(
        "wrong-type",
        format!("{property} cannot be {}", found.name()),
        format!("write {wanted}"),
    )
}
