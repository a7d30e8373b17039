//! Files that people write in JSON with comments: the handler table and `roles.json`.
//!
//! ```text
//!   bytes ── text ──▶ text ── reader ──▶ values with their positions, and every flaw
//!                                           │
//!                                        fields      one object, property by property
//! ```
//!
//! The reader recovers from errors, so that one missing comma does not hide what is wrong with the
//! rest of the file. Nothing here knows what a property means.
//!
//! `reader` is one parser in three files: `gaps` (blanks and comments) and `quoted` (strings) are
//! methods of the same type, and import it.

pub(crate) mod fields;
pub(crate) mod flaw;
mod gaps;
pub(crate) mod lines;
mod quantity;
mod quoted;
pub(crate) mod raw;
mod reader;
pub(crate) mod strays;
pub(crate) mod text;
mod words;

pub(crate) use flaw::Flaw;
pub(crate) use flaw::one_of;
pub(crate) use lines::Lines;

use raw::Document;
use raw::FileFormat;

use crate::base::limits::TABLE_BYTES_MAX;

/// Reads a file: JSON with `//` and `/* */` comments and perhaps a byte order mark.
///
/// Trailing commas are refused: 4D does not read them, so a table with one would not work there.
pub(crate) fn read<'t>(text: &'t str, form: &FileFormat) -> Document<'t> {
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
    use super::raw::SpannedValue;
    use super::raw::ValueKind;
    use super::*;

    const FORM: FileFormat =
        FileFormat { noun: "f", one_root: "1", levels: "2", example: "3", smaller: "4" };

    fn root(text: &str) -> SpannedValue<'_> {
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
        let ValueKind::List(values) = root(text).kind else { panic!("a list") };
        assert!(matches!(values[0].kind, ValueKind::Number("1")));
        assert!(matches!(&values[1].kind, ValueKind::Text(text) if text == "// no comment"));
        assert_eq!(&text[values[1].span.clone()], "\"// no comment\"", "spans count the mark");
    }

    #[test]
    fn every_span_counts_the_byte_order_mark() {
        assert_eq!(read("\u{feff}[1,]", &FORM).flaws[0].0, 5..6);
        assert_eq!(read("\u{feff}[\"", &FORM).flaws[0].0, 4..5);
        let ValueKind::Object(members) = root("\u{feff}{\"a\":1}").kind else { panic!() };
        assert_eq!((members[0].key_span.clone(), members[0].value.span.clone()), (4..7, 8..9));
    }

    #[test]
    fn duplicate_keys_are_kept() {
        let ValueKind::Object(members) = root(r#"{"a":1,"\u0061":2}"#).kind else { panic!() };
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
