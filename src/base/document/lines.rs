//! Converts byte offsets to the line and column that an editor shows.

use std::cell::Cell;
use std::ops::Range;

/// The line starts of one text.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// The offset of the last lookup, and the characters of its line before it: a file that is one
    /// long line gets thousands of lookups, mostly in ascending order.
    last: Cell<(usize, usize)>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        // A carriage return alone ends a line, too, as editors show it.
        let next = |at: usize| text.as_bytes().get(at + 1);
        let is_break =
            |(at, b): &(usize, u8)| *b == b'\n' || *b == b'\r' && next(*at) != Some(&b'\n');
        let after_breaks = text.bytes().enumerate().filter(is_break).map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(after_breaks).collect();
        Self { text, starts, last: Cell::new((0, 0)) }
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    ///
    /// A byte order mark does not count as a character of the first line: editors do not show it.
    /// An offset past the end or within a character is rounded down.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let end = self.text.floor_char_boundary(offset);
        let (last, counted) = self.last.get();
        let (from, counted) =
            if (start..=end).contains(&last) { (last, counted) } else { (start, 0) };
        let between = self.text.get(from..end).unwrap_or_default();
        // Only the first line can begin with a byte order mark.
        let mark = usize::from(from == 0 && between.starts_with('\u{feff}'));
        let before = counted + between.chars().count() - mark;
        self.last.set((end, before));
        let columns = before + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(columns).unwrap_or(u32::MAX))
    }

    /// The span in the file of a part of a JSON string: `span` is the string with its quotes,
    /// `part` counts bytes of its decoded value.
    pub(crate) fn within_text(
        &self,
        span: &Range<usize>,
        part: Range<usize>,
    ) -> Option<Range<usize>> {
        let quoted = self.text.get(span.clone())?.strip_prefix('"')?;
        let place = |meant: usize| Some(span.start + 1 + written_before(quoted, meant)?);
        Some(place(part.start)?..place(part.end)?)
    }
}

/// The number of bytes of a JSON string that encode the first `meant` bytes of its value (RFC 8259
/// §7).
fn written_before(quoted: &str, meant: usize) -> Option<usize> {
    let mut rest = quoted;
    let mut read = 0;
    while read < meant {
        let (width, bytes) = match rest.strip_prefix('\\') {
            None => rest.chars().next().map(|c| (c.len_utf8(), c.len_utf8()))?,
            Some(escape) if escape.starts_with('u') => escaped(escape)?,
            Some(_) => (2, 1),
        };
        rest = rest.get(width..)?;
        read += bytes;
    }
    Some(quoted.len() - rest.len())
}

/// The length of `\uXXXX`, or of a pair of them, and the length of the decoded character.
fn escaped(escape: &str) -> Option<(usize, usize)> {
    let code = u32::from_str_radix(escape.get(1..5)?, 16).ok()?;
    // A single surrogate is no character; a pair of them takes four bytes of UTF-8.
    Some(char::from_u32(code).map_or((12, 4), |c| (6, c.len_utf8())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let lines = Lines::of("é\"x\nab");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(1), (1, 1), "within a character");
        assert_eq!(lines.position(2), (1, 2));
        assert_eq!(lines.position(3), (1, 3));
        assert_eq!(lines.position(5), (2, 1));
        assert_eq!(lines.position(99), (2, 3), "past the end");
    }

    #[test]
    fn a_part_of_a_text_is_found_behind_escapes() {
        let text = r#"["é\\\u00e9\ud83d\ude00.x"]"#;
        let lines = Lines::of(text);
        let meant: String = serde_json::from_str::<[String; 1]>(text).unwrap().concat();
        let at = meant.find('.').unwrap();
        let found = lines.within_text(&(1..text.len() - 1), at..at + 1).unwrap();
        assert_eq!(&text[found], ".");
        assert_eq!(lines.within_text(&(1..text.len() - 1), 99..100), None);
    }

    #[test]
    fn windows_line_ends_and_byte_order_marks_do_not_shift_columns() {
        let lines = Lines::of("\u{feff}[\r\n  x");
        assert_eq!(lines.position(3), (1, 1));
        assert_eq!(lines.position(8), (2, 3));
        assert_eq!(Lines::of("").position(0), (1, 1));
        let old_mac = Lines::of("[\r  x\r]");
        assert_eq!((old_mac.position(4), old_mac.position(6)), ((2, 3), (3, 1)));
    }
}
