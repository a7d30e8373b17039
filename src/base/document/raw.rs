//! A parsed file: values with their positions, not yet validated.
//!
//! Duplicate keys, which most JSON readers silently drop, are kept.

use std::borrow::Cow;
use std::ops::Range;

use super::flaw::Flaw;

/// One value and the bytes of the file it takes.
#[derive(Debug)]
pub(crate) struct SpannedValue<'t> {
    pub(crate) span: Range<usize>,
    pub(crate) kind: ValueKind<'t>,
}

/// The type of a value. Numbers stay text: only the property knows which numbers it accepts.
#[derive(Debug)]
pub(crate) enum ValueKind<'t> {
    Null,
    Bool(bool),
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<SpannedValue<'t>>),
    Object(Vec<Member<'t>>),
}

/// One `"key": value` of an object.
#[derive(Debug)]
pub(crate) struct Member<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: SpannedValue<'t>,
}

impl ValueKind<'_> {
    /// The name of the type in a sentence.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// A flaw and its position in the file.
pub(crate) type LocatedFlaw = (Range<usize>, Flaw);

/// What a kind of file is called in errors, and what its root is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileFormat {
    /// Such as `table`.
    pub(crate) noun: &'static str,
    /// How to fix text after the root.
    pub(crate) one_root: &'static str,
    /// The nesting that such a file needs, for a file that nests deeper.
    pub(crate) levels: &'static str,
    /// How such a file begins in JSON, for a file in another language.
    pub(crate) example: &'static str,
    /// How to fix a file that is too large.
    pub(crate) smaller: &'static str,
}

/// A file that was parsed.
#[derive(Debug, Default)]
pub(crate) struct Document<'t> {
    /// The root, as far as it could be read; none for an empty file, and for one of another
    /// language.
    pub(crate) root: Option<SpannedValue<'t>>,
    /// Everything that is not JSON with comments, in the order of the file.
    pub(crate) flaws: Vec<LocatedFlaw>,
    /// The positions of values that could not be read. Each has a flaw of its own, so that the
    /// placeholder's type is not reported as a further problem.
    pub(crate) unread: Vec<Range<usize>>,
}
