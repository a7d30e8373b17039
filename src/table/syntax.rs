//! Words for JSON that is not well-formed, and the checks that must come before the parser.

use jsonc_parser::errors::ParseErrorKind;

use super::problem::Flaw;
use super::raw::Broken;
use crate::base::limits::TABLE_DEPTH_MAX;

/// Where a walk over the text is.
enum State {
    Plain,
    LineComment,
    BlockComment,
    /// Inside quotes that were opened at this offset.
    Text(usize),
}

/// Refuses nesting beyond [`TABLE_DEPTH_MAX`] before a recursive parser meets it, and text that
/// is not closed on its line, which a parser would notice only many lines later.
pub(super) fn survey(text: &str) -> Result<(), Broken> {
    let mut state = State::Plain;
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let next = bytes.peek().map(|(_, next)| *next);
        state = match (state, byte) {
            (State::Plain, b'"') => State::Text(at),
            (State::Plain, b'/') if next == Some(b'/') => State::LineComment,
            (State::Plain, b'/') if next == Some(b'*') => {
                // The star is consumed so that `/*/` does not close itself.
                bytes.next();
                State::BlockComment
            }
            (State::Plain, b'[' | b'{') => {
                depth += 1;
                if depth > TABLE_DEPTH_MAX {
                    return Err((at..at + 1, too_deep()));
                }
                State::Plain
            }
            (State::Plain, b']' | b'}') => {
                depth = depth.saturating_sub(1);
                State::Plain
            }
            (State::LineComment, b'\n' | b'\r') | (State::Text(_), b'"') => State::Plain,
            (State::BlockComment, b'*') if next == Some(b'/') => {
                bytes.next();
                State::Plain
            }
            (State::Text(start), b'\n' | b'\r') => return Err((start..at, not_closed())),
            (State::Text(_), 0..0x20) => return Err((at..at + 1, raw_control(byte))),
            (State::Text(start), b'\\') => {
                // An escaped quote does not close; an escaped line end is still one.
                if matches!(next, Some(b'"' | b'\\')) {
                    bytes.next();
                }
                State::Text(start)
            }
            (state, _) => state,
        };
    }
    match state {
        State::Text(start) => Err((start..text.len(), not_closed())),
        _ => Ok(()),
    }
}

fn too_deep() -> Flaw {
    Flaw::new(
        "table-too-deep",
        format!("brackets are nested more than {TABLE_DEPTH_MAX} deep"),
        "a table is a list of rows and needs no more than three levels",
    )
}

fn not_closed() -> Flaw {
    Flaw::new("syntax", "this text is not closed on its line", "add the missing double quote")
}

fn raw_control(byte: u8) -> Flaw {
    Flaw::new(
        "syntax",
        format!("text has a raw control character (U+{byte:04X})"),
        "JSON wants it escaped, such as \\t for a tab",
    )
}

/// What the parser found, in the words of somebody who writes tables.
pub(super) fn flaw(kind: &ParseErrorKind) -> Flaw {
    use ParseErrorKind as Error;
    let (what, fix) = match kind {
        Error::TrailingCommasNotAllowed => {
            ("a comma comes after the last item", "remove the comma")
        }
        Error::ExpectedComma => ("a comma is missing here", "separate items with commas"),
        Error::ExpectedColonAfterObjectKey => {
            ("a colon is missing after this key", "write \"key\": value")
        }
        Error::ExpectedObjectValue => {
            ("a key without a value", "write a value after the colon, or remove the key")
        }
        Error::ExpectedStringObjectProperty => {
            ("a key without quotes", "put the key in double quotes")
        }
        Error::SingleQuotedStringsNotAllowed => ("single quotes around text", "use double quotes"),
        Error::MultipleRootJsonValues => {
            ("more text after the end of the table", "keep one list; put all rows into it")
        }
        Error::UnterminatedArray => ("this list is not closed", "add the missing \"]\" or comma"),
        Error::UnterminatedObject => {
            ("this object is not closed", "add the missing \"}\" or comma")
        }
        Error::UnterminatedCommentBlock => ("this comment is not closed", "add \"*/\""),
        Error::UnexpectedWord => (
            "a word that is not JSON",
            "put text in double quotes; only true, false and null go without",
        ),
        Error::UnexpectedComma => {
            ("a comma where a value should be", "remove the comma, or add the value before it")
        }
        Error::String(kind) => return text_flaw(kind),
        Error::BareDecimalPointNumbersNotAllowed
        | Error::ExpectedDigit
        | Error::ExpectedDigitFollowingNegativeSign
        | Error::ExpectedPlusMinusOrDigitInNumberLiteral
        | Error::HexadecimalNumbersNotAllowed
        | Error::NonFiniteNumbersNotAllowed
        | Error::UnaryPlusNumbersNotAllowed => {
            ("this is not a number of JSON", "write it in decimal digits, such as 30000")
        }
        _ => ("this does not belong here", "look for a bracket, quote or comma missing before it"),
    };
    Flaw::new("syntax", what, fix)
}

fn text_flaw(kind: &jsonc_parser::ParseStringErrorKind) -> Flaw {
    use jsonc_parser::ParseStringErrorKind as Error;
    let (what, fix) = match kind {
        Error::InvalidUnicodeEscapeSequence(_) | Error::ExpectedFourHexDigits => (
            "a \\u escape that stands for no character",
            "write the character itself, or \\u and four hex digits",
        ),
        _ => (
            "a backslash that JSON does not know",
            "double it: a regular expression's \\. is written \\\\. in JSON",
        ),
    };
    Flaw::new("syntax", what, fix)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn code(text: &str) -> Option<(Range<usize>, &'static str)> {
        survey(text).err().map(|(span, flaw)| (span, flaw.code))
    }

    #[test]
    fn nesting_is_counted_outside_text_and_comments_only() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(code(&nested(TABLE_DEPTH_MAX)), None);
        assert_eq!(
            code(&nested(TABLE_DEPTH_MAX + 1)),
            Some((TABLE_DEPTH_MAX..TABLE_DEPTH_MAX + 1, "table-too-deep"))
        );
        let deep = "[".repeat(99);
        assert_eq!(code(&format!("\"{deep}\" // {deep}\n /* {deep} \" */ /*/ {deep} */")), None);
    }

    #[test]
    fn text_is_closed_on_its_line() {
        assert_eq!(code("[\"a\\\"b\\\\\", \"c\n\"]"), Some((11..13, "syntax")));
        assert_eq!(code("[\"a"), Some((1..3, "syntax")));
        assert_eq!(code("[\"a\tb\"]"), Some((3..4, "syntax")));
    }
}
