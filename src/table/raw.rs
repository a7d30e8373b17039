//! The table file as written: values with the place where they stand, and nothing judged yet.
//!
//! The parser's own tree is copied into this one so that the rest of the floor depends on no
//! parser, and so that duplicate keys, which most JSON readers silently drop, are still there.

use std::borrow::Cow;
use std::ops::Range;

use jsonc_parser::ParseOptions;
use jsonc_parser::ast;

use super::problem::Flaw;
use super::syntax;
use crate::base::limits::TABLE_BYTES_MAX;

/// One value and the bytes of the file it takes.
#[derive(Debug)]
pub(super) struct Value<'t> {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind<'t>,
}

/// What a value is. Numbers stay text: only the property knows which numbers it wants.
#[derive(Debug)]
pub(super) enum Kind<'t> {
    Null,
    Bool(bool),
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<Value<'t>>),
    Object(Vec<Member<'t>>),
}

/// One `"key": value` of an object.
#[derive(Debug)]
pub(super) struct Member<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) key_span: Range<usize>,
    pub(super) value: Value<'t>,
}

impl Kind<'_> {
    /// What to call the value in a sentence.
    pub(super) const fn name(&self) -> &'static str {
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

/// A flaw of the file as a whole and where it stands.
pub(super) type Broken = (Range<usize>, Flaw);

/// Reads a file: JSON with `//` and `/* */` comments and perhaps a byte order mark.
///
/// Trailing commas are refused: 4D does not read them, so a table with one would not work there.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Broken> {
    if text.len() > TABLE_BYTES_MAX {
        let what = format!("the table has {} bytes and may have {TABLE_BYTES_MAX}", text.len());
        return Err((
            0..0,
            Flaw::new(
                "table-too-large",
                what,
                "move comments out, or merge rows that share a class",
            ),
        ));
    }
    // Spans must count from the start of the file, so that the mark is blanked rather than cut.
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = text.get(mark..).unwrap_or_default();
    let shift = |range: Range<usize>| range.start + mark..range.end + mark;
    syntax::survey(body).map_err(|(span, flaw)| (shift(span), flaw))?;
    let result =
        jsonc_parser::parse_to_ast(body, &jsonc_parser::CollectOptions::default(), &STRICT)
            .map_err(|error| {
                let range = error.range().start..error.range().end;
                (shift(range), syntax::flaw(error.kind()))
            })?;
    match result.value {
        Some(value) => Ok(convert(value, mark)),
        None => Err((
            0..0,
            Flaw::new("not-a-list", "the file is empty", "write [] for a table without rows"),
        )),
    }
}

/// JSON and comments, nothing else the parser could be lenient about.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Copies the parser's tree; its depth is bounded by [`syntax::survey`].
fn convert(value: ast::Value<'_>, mark: usize) -> Value<'_> {
    let shift = |range: jsonc_parser::common::Range| range.start + mark..range.end + mark;
    match value {
        ast::Value::NullKeyword(lit) => Value { span: shift(lit.range), kind: Kind::Null },
        ast::Value::BooleanLit(lit) => {
            Value { span: shift(lit.range), kind: Kind::Bool(lit.value) }
        }
        ast::Value::NumberLit(lit) => {
            Value { span: shift(lit.range), kind: Kind::Number(lit.value) }
        }
        ast::Value::StringLit(lit) => Value { span: shift(lit.range), kind: Kind::Text(lit.value) },
        ast::Value::Array(list) => Value {
            span: shift(list.range),
            kind: Kind::List(list.elements.into_iter().map(|v| convert(v, mark)).collect()),
        },
        ast::Value::Object(object) => Value {
            span: shift(object.range),
            kind: Kind::Object(object.properties.into_iter().map(|p| member(p, mark)).collect()),
        },
    }
}

fn member(property: ast::ObjectProp<'_>, mark: usize) -> Member<'_> {
    let (range, key) = match property.name {
        ast::ObjectPropName::String(name) => (name.range, name.value),
        ast::ObjectPropName::Word(name) => (name.range, Cow::Borrowed(name.value)),
    };
    Member {
        key,
        key_span: range.start + mark..range.end + mark,
        value: convert(property.value, mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_a_byte_order_mark_are_read_over() {
        let text = "\u{feff}// one\n[ /* two [ \" */ 1, \"// no comment\" ] // three";
        let Kind::List(values) = parse(text).unwrap().kind else { panic!("a list") };
        assert!(matches!(values[0].kind, Kind::Number("1")));
        assert!(matches!(&values[1].kind, Kind::Text(text) if text == "// no comment"));
        assert_eq!(&text[values[1].span.clone()], "\"// no comment\"", "spans count the mark");
    }

    #[test]
    fn every_span_counts_the_byte_order_mark() {
        assert_eq!(parse("\u{feff}[1,]").unwrap_err().0, 5..6, "a refusal of the parser");
        assert_eq!(parse("\u{feff}[\"").unwrap_err().0, 4..5, "a refusal before the parser");
        let Kind::Object(members) = parse("\u{feff}{\"a\":1}").unwrap().kind else { panic!() };
        assert_eq!((members[0].key_span.clone(), members[0].value.span.clone()), (4..7, 8..9));
    }

    #[test]
    fn duplicate_keys_are_kept() {
        let Kind::Object(members) = parse(r#"{"a":1,"\u0061":2}"#).unwrap().kind else { panic!() };
        assert_eq!(members.iter().map(|m| &*m.key).collect::<Vec<_>>(), ["a", "a"]);
    }

    #[test]
    fn only_comments_are_added_to_json() {
        for text in ["[1,]", "['a']", "[+1]", "[.5]", "[0x1]", "[NaN]", "{a:1}", "[1 2]", "[] []"] {
            assert_eq!(parse(text).unwrap_err().1.code, "syntax", "{text}");
        }
        assert_eq!(parse("[{} {}]").unwrap_err().1.code, "syntax");
        assert_eq!(parse("{\"a\":{} \"b\":1}").unwrap_err().1.code, "syntax");
        assert_eq!(parse(" // nothing\n").unwrap_err().1.code, "not-a-list");
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_read() {
        let fill = |len: usize| format!("[]{}", " ".repeat(len - 2));
        assert!(parse(&fill(TABLE_BYTES_MAX)).is_ok());
        assert_eq!(parse(&fill(TABLE_BYTES_MAX + 1)).unwrap_err().1.code, "table-too-large");
    }
}
