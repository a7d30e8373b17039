//! Text between the values of a file: blanks, comments, and stray text that can be skipped.

use super::reader::Reader;
use super::strays;

impl Reader<'_> {
    /// Skips blanks, comments, and stray text that can be skipped.
    pub(super) fn skip(&mut self) {
        while let Some(next) = self.peek() {
            let rest = self.rest();
            if matches!(next, ' ' | '\t' | '\n' | '\r') {
                self.at += 1;
            } else if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.get(2..).and_then(|inner| inner.find("*/")) else {
                    self.broken(self.at..self.at + 2, "this comment is not closed", "add \"*/\"");
                    self.over = true;
                    return;
                };
                self.at += end + 4;
            } else if self.skip_conflict() {
            } else if let Some((bytes, flaw)) = strays::stray(rest) {
                self.flaw(self.at..self.at + bytes, flaw);
                self.at += bytes;
            } else {
                return;
            }
        }
    }

    /// Skips the conflict markers of a merge and the second of its sides, so that the first side is
    /// left as the file.
    fn skip_conflict(&mut self) -> bool {
        let rest = self.rest();
        let starts = |mark: &&str| rest.starts_with(*mark);
        let is_other = strays::OTHER_SIDE.iter().any(&starts);
        let is_mark = is_other || starts(&strays::CONFLICT) || starts(&strays::CONFLICT_END);
        let before = self.text.get(..self.at).unwrap_or_default();
        if !is_mark || !(before.is_empty() || before.ends_with(['\n', '\r', '\u{feff}'])) {
            return false;
        }
        if !self.in_conflict {
            self.flaw(self.at..self.at + strays::CONFLICT.len(), strays::conflict());
        }
        let end = if is_other { rest.find(strays::CONFLICT_END).unwrap_or(rest.len()) } else { 0 };
        let line = rest.get(end..).and_then(|last| last.find('\n'));
        self.in_conflict = starts(&strays::CONFLICT);
        self.at += line.map_or(rest.len(), |line| end + line);
        true
    }
}
