//! Decodes the bytes of a file as UTF-8, or identifies the other format that they have.

/// Why bytes cannot be read as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotText {
    /// The line, counted from 1.
    pub(crate) line: u32,
    /// The column in characters, counted from 1.
    pub(crate) column: u32,
    /// The format of the file, as the end of a sentence that begins with its name.
    pub(crate) what: String,
    /// How to fix it.
    pub(crate) fix: &'static str,
}

const SAVE: &str = "save it as UTF-8";

/// The bytes as text. A byte order mark of UTF-8 is kept.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, NotText> {
    let whole = |what: &str, fix| NotText { line: 1, column: 1, what: what.to_owned(), fix };
    if let Some(encoding) = wide(bytes) {
        return Err(whole(&format!("is {encoding}"), SAVE));
    }
    if let Some(archive) = packed(bytes) {
        return Err(whole(&format!("is {archive}"), "unpack it, and name the file of text in it"));
    }
    let error = match str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let (good, bad) = bytes.split_at(error.valid_up_to());
    let good = String::from_utf8_lossy(good);
    let (line, column) = super::lines::Lines::of(&good).position(good.len());
    let bad = bad.first().copied().unwrap_or_default();
    let what = format!("is not UTF-8: the byte 0x{bad:02X} is in no text of that encoding");
    Err(NotText { line, column, what, fix: SAVE })
}

/// The encoding of text whose characters take two or four bytes each, with or without a byte order
/// mark. Valid files begin with an ASCII character, so without a mark the position of the zero
/// bytes identifies the encoding.
fn wide(bytes: &[u8]) -> Option<&'static str> {
    let zero = |at: usize| bytes.get(at).map(|byte| *byte == 0);
    let zeros = [zero(0), zero(1), zero(2), zero(3)].map(Option::unwrap_or_default);
    match (bytes, zeros) {
        ([0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..], _) => Some("UTF-32"),
        ([0xff, 0xfe, ..] | [0xfe, 0xff, ..], _) => Some("UTF-16"),
        ([_, _, _, _, ..], [false, true, true, true] | [true, true, true, false]) => Some("UTF-32"),
        ([_, _, _, _, ..], [false, true, false, true] | [true, false, true, false]) => {
            Some("UTF-16")
        }
        _ => None,
    }
}

fn packed(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Some("packed with gzip"),
        [b'P', b'K', 3, 4, ..] => Some("a ZIP archive"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_an_editor_is_named() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        let four = |text: &str, big: bool| -> Vec<u8> {
            let points = text.chars().map(u32::from);
            points.flat_map(|c| if big { c.to_be_bytes() } else { c.to_le_bytes() }).collect()
        };
        for text in ["[]", "\u{feff}[]", "[\n{}]", "[é]"] {
            for big in [false, true] {
                let what = decode(&wide(text, big)).unwrap_err();
                assert_eq!((&*what.what, what.fix), ("is UTF-16", SAVE), "{text:?}");
                let what = decode(&four(text, big)).unwrap_err();
                assert_eq!((&*what.what, what.line), ("is UTF-32", 1), "{text:?}");
            }
        }
    }

    #[test]
    fn other_bytes_are_named_with_their_place() {
        let error = decode(b"[\n  \"caf\xe9\"]").unwrap_err();
        assert_eq!((error.line, error.column), (2, 7));
        assert!(error.what.contains("0xE9"), "{error:?}");
        assert!(decode(b"\x1f\x8b\x08").unwrap_err().what.contains("gzip"));
        assert!(decode(b"PK\x03\x04").unwrap_err().what.contains("ZIP"));
        for good in ["", "[", "[]", "\u{feff}[]", "é"] {
            assert_eq!(decode(good.as_bytes()), Ok(good));
        }
    }
}
