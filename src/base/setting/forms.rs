//! How the value of a setting becomes a value of the type that the code wants.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{BadValue, Kind, Value, quoted};

/// How a setting is written, and what is made of it. A type that is written in one way only is
/// its own form.
pub(crate) trait Form {
    /// What is made of it.
    type Value;

    /// What `--help` calls a value.
    const PLACEHOLDER: &'static str;

    /// What can be written.
    fn kind() -> Kind;

    /// Understands what was written.
    fn read(value: &Value) -> Result<Self::Value, BadValue>;

    /// The value of a setting without a default that was not given; `None` if it must be given.
    fn unset() -> Option<Self::Value> {
        None
    }
}

/// A text that can be understood; the error is the way out.
pub(crate) fn parsed<T>(
    value: &Value,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, BadValue> {
    match value {
        Value::Text(text) => parse(text).map_err(|fix| BadValue::of(text, fix)),
        other => Err(mismatch(other)),
    }
}

/// The layers take no value of another kind; only a form that contradicts itself comes here.
pub(crate) fn mismatch(value: &Value) -> BadValue {
    let what = match value {
        Value::Text(_) | Value::Url(_) => "is a text",
        Value::Number(_) => "is a number",
        Value::Switch(_) => "is true or false",
        Value::Texts(_) | Value::Secrets(_) => "is a list",
    };
    BadValue { code: "bad-value", what: what.to_owned(), fix: "write another kind".to_owned() }
}

macro_rules! numbers {
    ($($type:ty)+) => {
        $(impl Form for $type {
            type Value = Self;
            const PLACEHOLDER: &'static str = "NUMBER";

            fn kind() -> Kind {
                Kind::Number { min: 0, max: u64::MAX }
            }

            fn read(value: &Value) -> Result<Self, BadValue> {
                let Value::Number(number) = value else { return Err(mismatch(value)) };
                let small = |_| BadValue::of(&number.to_string(), "use a smaller number");
                Self::try_from(*number).map_err(small)
            }
        })+
    };
}

numbers!(u8 u16 u32 u64 usize);

macro_rules! durations {
    ($($(#[$doc:meta])* $name:ident: $make:expr;)+) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Form for $name {
            type Value = Duration;
            const PLACEHOLDER: &'static str = "NUMBER";

            fn kind() -> Kind {
                u64::kind()
            }

            fn read(value: &Value) -> Result<Duration, BadValue> {
                u64::read(value).map($make)
            }
        })+
    };
}

durations! {
    /// A duration as a number of seconds.
    Seconds: Duration::from_secs;
    /// A duration as a number of milliseconds.
    Millis: Duration::from_millis;
}

impl Form for bool {
    type Value = Self;
    const PLACEHOLDER: &'static str = "true|false";

    fn kind() -> Kind {
        Kind::Switch
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        if let Value::Switch(on) = value { Ok(*on) } else { Err(mismatch(value)) }
    }
}

/// A switch that is written as one of two words.
#[derive(Debug)]
pub(crate) struct OnOff;

impl Form for OnOff {
    type Value = bool;
    const PLACEHOLDER: &'static str = "on|off";

    fn kind() -> Kind {
        Kind::Choice(&["on", "off"])
    }

    fn read(value: &Value) -> Result<bool, BadValue> {
        parsed(value, |text| Ok(text == "on"))
    }
}

impl Form for PathBuf {
    type Value = Self;
    const PLACEHOLDER: &'static str = "FILE";

    fn kind() -> Kind {
        Kind::Text
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        parsed(value, |text| match text {
            "" => Err("name a file or a folder".to_owned()),
            _ => Ok(text.into()),
        })
    }
}

/// A setting that may be missing; an empty text unsets what a lower layer gave.
impl<F: Form> Form for Option<F> {
    type Value = Option<F::Value>;
    const PLACEHOLDER: &'static str = F::PLACEHOLDER;

    fn kind() -> Kind {
        F::kind()
    }

    fn read(value: &Value) -> Result<Self::Value, BadValue> {
        match value {
            Value::Text(text) if text.is_empty() => Ok(None),
            _ => F::read(value).map(Some),
        }
    }

    fn unset() -> Option<Self::Value> {
        Some(None)
    }
}

/// A value, or the word "off".
#[derive(Debug)]
pub(crate) struct OrOff<F>(F);

impl<F: Form> Form for OrOff<F> {
    type Value = Option<F::Value>;
    const PLACEHOLDER: &'static str = "ADDR|off";

    fn kind() -> Kind {
        F::kind()
    }

    fn read(value: &Value) -> Result<Self::Value, BadValue> {
        match value {
            Value::Text(text) if text == "off" => Ok(None),
            _ => F::read(value).map(Some),
        }
    }
}

/// A number, or 0 for none.
#[derive(Debug)]
pub(crate) struct OrZero<F>(F);

impl<F: Form> Form for OrZero<F> {
    type Value = Option<F::Value>;
    const PLACEHOLDER: &'static str = F::PLACEHOLDER;

    fn kind() -> Kind {
        F::kind()
    }

    fn read(value: &Value) -> Result<Self::Value, BadValue> {
        match value {
            Value::Number(0) => Ok(None),
            _ => F::read(value).map(Some),
        }
    }
}

/// A list, whose every item is read alone.
impl<F: Form> Form for Vec<F> {
    type Value = Vec<F::Value>;
    const PLACEHOLDER: &'static str = "LIST";

    fn kind() -> Kind {
        Kind::Texts
    }

    fn read(value: &Value) -> Result<Self::Value, BadValue> {
        let Value::Texts(texts) = value else { return Err(mismatch(value)) };
        let item = |text: &String| {
            let read = F::read(&Value::Text(text.clone()));
            read.map_err(|bad| BadValue { what: format!("holds {}", quoted(text)), ..bad })
        };
        texts.iter().map(item).collect()
    }
}
