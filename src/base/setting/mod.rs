//! Settings, each declared once: its name, type, default, range and manual.
//!
//! A part of callgate declares what can be set about it as a struct, beside the code that uses it:
//!
//! ```text
//! settings! {
//!     /// The budgets of classes.
//!     #[derive(Debug, Clone)]
//!     pub struct Budgets {
//!         /// Milliseconds of processor time for one call; loading a class has as much.
//!         cpu as "cpu_ms": Duration as Millis = 1_000, in 10..=60_000;
//!         /// A file of names; unset: no names.
//!         names: Option<PathBuf>, unset "names.txt";
//!     }
//! }
//! ```
//!
//! | part of a declaration | meaning |
//! |---|---|
//! | doc comment | the manual: the default file, `--help`, `docs/SETTINGS.md` and rustdoc show it |
//! | `cpu` | the field |
//! | `as "cpu_ms"` | the name in the settings file, where it is not the field's |
//! | `: Duration` | the type of the field |
//! | `as Millis` | the form that reads it (`forms.rs`), where that is not the type itself |
//! | `= 1_000` | the default |
//! | `unset "names.txt"` | there is no default; the default file shows this example |
//! | `in 10..=60_000` | the range of a number |
//!
//! The struct, its `Default`, the list of its settings and the code that reads them follow. What
//! follows from the list for all settings (file, environment, flags) is in [`crate::settings`].
//!
//! Declarations nest by the type of a field: another declared struct is a section (`[limits]`),
//! `BTreeMap<String, Part>` holds named tables (`[oidc.google]`), and `Vec<Part> as Tables<Part>`
//! holds a list of tables (`[[mail.from]]`). Two fields of the same name are two parts that share
//! a section.

mod forms;
mod given;
mod kind;
mod values;
mod written;

pub(crate) use forms::{Form, Millis, OnOff, OrOff, OrZero, Seconds, mismatch, parsed};
pub use given::{Given, Origin, Raw};
pub(crate) use kind::BadValue;
pub use kind::{Kind, Value, quoted};
#[cfg(any(test, feature = "testing"))]
pub use values::Tables;
pub(crate) use values::Values;
pub use written::written;

/// Something that can be declared: a setting, by its [`Form`], or a struct of them.
pub(crate) trait Declared {
    /// The type of the field.
    type Value;

    /// What stands under its name.
    fn shape() -> Shape;

    /// Takes the value of `name`, or else the default. `None` when there is neither, which
    /// `values` then has a problem about.
    fn take(values: &mut Values<'_>, name: &str, default: Option<Value>) -> Option<Self::Value>;
}

/// What stands under a name of a settings file.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// One value, and what `--help` calls it.
    Value(Kind, &'static str),
    /// A table with these settings.
    Section(Vec<Entry>),
    /// Tables with these settings, each under a name of its owner's choice.
    Named(Vec<Entry>),
    /// Any number of tables with these settings, in order.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "no setting is one yet")
    )]
    List(Vec<Entry>),
}

/// One field of a declaration.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name within its table.
    pub(crate) key: &'static str,
    /// What it means, in one paragraph of Markdown.
    pub(crate) manual: String,
    pub(crate) shape: Shape,
    pub(crate) default: Option<Value>,
    /// What the default file shows for a setting that has no default.
    pub(crate) example: Option<Value>,
}

impl Entry {
    /// An entry with the lines of its doc comment.
    pub(crate) fn new(key: &'static str, doc: &[&str], shape: Shape) -> Self {
        let lines: Vec<&str> = doc.iter().map(|line| line.trim()).collect();
        Self { key, manual: lines.join(" "), shape, default: None, example: None }
    }

    pub(crate) fn default(self, default: impl Into<Value>) -> Self {
        Self { default: Some(default.into()), ..self }
    }

    pub(crate) fn example(self, example: impl Into<Value>) -> Self {
        Self { example: Some(example.into()), ..self }
    }

    /// The default as it is written in a settings file, or else the example.
    pub(crate) fn written(&self) -> String {
        let value = self.default.as_ref().or(self.example.as_ref());
        value.and_then(written).unwrap_or_default()
    }

    /// Narrows the range of a number.
    pub(crate) fn within(mut self, range: std::ops::RangeInclusive<u64>) -> Self {
        if let Shape::Value(Kind::Number { min, max }, _) = &mut self.shape {
            (*min, *max) = range.into_inner();
        }
        self
    }
}

/// One list of several: sections of the same name become one.
pub(crate) fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        let same = all.iter_mut().find(|known| known.key == entry.key);
        match (same.map(|known| &mut known.shape), entry.shape) {
            (Some(Shape::Section(known)), Shape::Section(more)) => known.extend(more),
            (_, shape) => all.push(Entry { shape, ..entry }),
        }
    }
    all
}

/// The value of a declared struct of which nothing was given.
pub(crate) fn default_of<D: Declared>() -> D::Value {
    let raw = Raw::default();
    let mut values = Values::of(&raw);
    D::take(&mut values, "", None).expect("a default that its own setting takes")
}

/// Declares a struct of settings; see [`crate::base::setting`].
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $manual:literal])+
                $field:ident $(as $key:literal)? : $type:ty $(as $form:ty)?
                $(= $default:expr)? $(, unset $example:expr)? $(, in $range:expr)? ;
            )+
        }
    ) => {
        #[cfg(any(test, feature = "testing"))]
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[doc = $manual])+ $visibility $field: $type,)+
        }

        // To a program that embeds callgate a setting has one name, that of the settings file.
        #[cfg(not(any(test, feature = "testing")))]
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[doc = $manual])+ pub(crate) $field: $type,)+
        }

        impl $crate::base::setting::Declared for $name {
            type Value = Self;

            fn shape() -> $crate::base::setting::Shape {
                use $crate::base::setting::{Declared, Entry, Shape, merged};
                Shape::Section(merged(vec![$(
                    Entry::new(
                        settings!(@key $field $($key)?),
                        &[$($manual),+],
                        <settings!(@form $type $(, $form)?) as Declared>::shape(),
                    )
                    $(.default($default))? $(.example($example))? $(.within($range))?,
                )+]))
            }

            fn take(
                values: &mut $crate::base::setting::Values<'_>,
                name: &str,
                _: Option<$crate::base::setting::Value>,
            ) -> Option<Self> {
                use $crate::base::setting::{Declared, Values};
                $(
                    let key = Values::below(name, settings!(@key $field $($key)?));
                    let default = settings!(@default $($default)?);
                    let $field =
                        <settings!(@form $type $(, $form)?) as Declared>::take(values, &key, default);
                )+
                Some(Self { $($field: $field?,)+ })
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $crate::base::setting::default_of::<Self>()
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@form $type:ty) => { $type };
    (@form $type:ty, $form:ty) => { $form };
    (@default) => { None };
    (@default $default:expr) => { Some($crate::base::setting::Value::from($default)) };
}

pub(crate) use settings;
