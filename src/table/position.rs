//! From a byte offset to the line and column a person sees in an editor.

/// The line starts of one text.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_breaks =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    ///
    /// A byte order mark is no character of the first line: editors do not show it. An offset
    /// past the end or within a character means the nearest place before it.
    pub(super) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let end = self.text.floor_char_boundary(offset);
        let before = self.text.get(start..end).unwrap_or_default();
        let shown = before.strip_prefix('\u{feff}').unwrap_or(before);
        let columns = shown.chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(columns).unwrap_or(u32::MAX))
    }
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
    fn windows_line_ends_and_byte_order_marks_do_not_shift_columns() {
        let lines = Lines::of("\u{feff}[\r\n  x");
        assert_eq!(lines.position(3), (1, 1));
        assert_eq!(lines.position(8), (2, 3));
        assert_eq!(Lines::of("").position(0), (1, 1));
    }
}
