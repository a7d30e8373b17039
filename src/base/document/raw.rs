//! A parsed file: values with their positions, not yet validated.
//!
//! Duplicate keys, which most JSON readers silently drop, are kept.

use std::borrow::Cow;
use std::ops::Range;

use super::flaw::Flaw;
use super::reader;
use crate::base::limits::TABLE_BYTES_MAX;

/// One value and the bytes of the file it takes.
#[derive(Debug)]
pub(crate) struct Value<'t> {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind<'t>,
}

/// The type of a value. Numbers stay text: only the property knows which numbers it accepts.
#[derive(Debug)]
pub(crate) enum Kind<'t> {
    Null,
    Bool(bool),
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<Value<'t>>),
    Object(Vec<Member<'t>>),
}

/// One `"key": value` of an object.
#[derive(Debug)]
pub(crate) struct Member<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Value<'t>,
}

impl Kind<'_> {
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
pub(crate) type Broken = (Range<usize>, Flaw);

/// What a kind of file is called in errors, and what its root is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
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
    pub(crate) root: Option<Value<'t>>,
    /// Everything that is not JSON with comments, in the order of the file.
    pub(crate) flaws: Vec<Broken>,
    /// The positions of values that could not be read. Each has a flaw of its own, so that the
    /// placeholder's type is not reported as a further problem.
    pub(crate) unread: Vec<Range<usize>>,
}

/// Reads a file: JSON with `//` and `/* */` comments and perhaps a byte order mark.
///
/// Trailing commas are refused: 4D does not read them, so a table with one would not work there.
pub(crate) fn read<'t>(text: &'t str, form: &Form) -> Document<'t> {
    if text.len() > TABLE_BYTES_MAX {
        let noun = form.noun;
        let what = format!("the {noun} has {} bytes and may have {TABLE_BYTES_MAX}", text.len());
        let flaw = Flaw::new("table-too-large", what, form.smaller);
        return Document { flaws: vec![(0..0, flaw)], ..Document::default() };
    }
    reader::read(text, form)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { noun: "f", one_root: "1", levels: "2", example: "3", smaller: "4" };

    fn root(text: &str) -> Value<'_> {
        let document = read(text, &FORM);
        assert_eq!(document.flaws, [], "{text}");
        document.root.unwrap()
    }

    fn code(text: &str) -> &'static str {
        read(text, &FORM).flaws.first().unwrap_or_else(|| panic!("{text}")).1.code
    }

    #[test]
    fn comments_and_a_byte_order_mark_are_read_over() {
        let text = "\u{feff}// one\n[ /* two [ \" */ 1, \"// no comment\" ] // three";
        let Kind::List(values) = root(text).kind else { panic!("a list") };
        assert!(matches!(values[0].kind, Kind::Number("1")));
        assert!(matches!(&values[1].kind, Kind::Text(text) if text == "// no comment"));
        assert_eq!(&text[values[1].span.clone()], "\"// no comment\"", "spans count the mark");
    }

    #[test]
    fn every_span_counts_the_byte_order_mark() {
        assert_eq!(read("\u{feff}[1,]", &FORM).flaws[0].0, 5..6);
        assert_eq!(read("\u{feff}[\"", &FORM).flaws[0].0, 4..5);
        let Kind::Object(members) = root("\u{feff}{\"a\":1}").kind else { panic!() };
        assert_eq!((members[0].key_span.clone(), members[0].value.span.clone()), (4..7, 8..9));
    }

    #[test]
    fn duplicate_keys_are_kept() {
        let Kind::Object(members) = root(r#"{"a":1,"\u0061":2}"#).kind else { panic!() };
        assert_eq!(members.iter().map(|m| &*m.key).collect::<Vec<_>>(), ["a", "a"]);
    }

    #[test]
    fn only_comments_are_added_to_json() {
        for text in ["[1,]", "['a']", "[+1]", "[.5]", "[0x1]", "[NaN]", "{a:1}", "[1 2]", "[] []"] {
            assert_eq!(code(text), "syntax", "{text}");
        }
        for text in ["[{} {}]", "{\"a\":{} \"b\":1}", "[01]", "[1.]", "[1e]", "[-]", "[\u{b}]"] {
            assert_eq!(code(text), "syntax", "{text}");
        }
        assert!(read(" // nothing\n", &FORM).root.is_none());
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_read() {
        let fill = |len: usize| format!("[]{}", " ".repeat(len - 2));
        assert_eq!(read(&fill(TABLE_BYTES_MAX), &FORM).flaws, []);
        assert_eq!(code(&fill(TABLE_BYTES_MAX + 1)), "table-too-large");
    }
}
