//! Quoted strings: their escapes, and what is wrong with them.

use std::borrow::Cow;

use super::reader::Reader;
use super::strays;

/// What is found where a string may begin.
pub(super) enum Quoted<'t> {
    /// No string.
    Nothing,
    /// A string that is not closed on its line. The flaw is recorded.
    Open,
    /// A string with an unreadable part. The flaw is recorded; this is the rest of the string.
    Damaged(Cow<'t, str>),
    /// A string.
    Text(Cow<'t, str>),
}

impl<'t> Reader<'t> {
    /// Reads the string that begins here with a quote.
    pub(super) fn quoted(&mut self) -> Quoted<'t> {
        let start = self.at;
        let Some(quote) = self.peek() else { return Quoted::Nothing };
        let closing = match strays::quote(quote) {
            _ if quote == '"' => &['"'],
            Some((closing, flaw)) => {
                self.flaw(start..start + quote.len_utf8(), flaw);
                closing
            }
            None => return Quoted::Nothing,
        };
        self.at += quote.len_utf8();
        let begin = self.at;
        // Without an escape, the value is the text as written.
        let mut unescaped: Option<String> = None;
        let mut is_whole = true;
        while let Some(next) = self.rest().chars().next() {
            let written = self.text.get(begin..self.at).unwrap_or_default();
            if closing.contains(&next) {
                self.at += next.len_utf8();
                let text = unescaped.map_or(Cow::Borrowed(written), Cow::Owned);
                return if is_whole { Quoted::Text(text) } else { Quoted::Damaged(text) };
            }
            if matches!(next, '\n' | '\r') {
                break;
            }
            let read = if next == '\\' {
                unescaped.get_or_insert_with(|| written.to_owned());
                self.escape()
            } else {
                self.plain(next)
            };
            is_whole &= read.is_some();
            if let Some(unescaped) = &mut unescaped {
                unescaped.extend(read);
            }
        }
        let (what, fix) = ("this text is not closed on its line", "add the missing double quote");
        self.broken(start..self.at, what, fix);
        Quoted::Open
    }

    fn plain(&mut self, next: char) -> Option<char> {
        let at = self.at;
        self.at += next.len_utf8();
        if next >= ' ' {
            return Some(next);
        }
        let what = format!("text has a raw control character (U+{:04X})", u32::from(next));
        self.broken(at..at + 1, &what, "JSON wants it escaped, such as \\t for a tab");
        None
    }

    /// The characters that an escape stands for (RFC 8259 §7). For an invalid one, records the flaw
    /// and returns none.
    fn escape(&mut self) -> Option<char> {
        let at = self.at;
        let escaped = self.rest().chars().nth(1);
        let width = 1 + escaped.filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
        self.at += width;
        let simple = match escaped {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let unit = self.unit(at + 2);
                let read = unit.and_then(|unit| self.character(unit));
                if read.is_none() {
                    let (what, fix) = (
                        "a \\u escape that stands for no character",
                        "write the character itself, or \\u and four hex digits",
                    );
                    self.broken(at..self.at, what, fix);
                }
                return read;
            }
            other => {
                let (what, fix) = ("a backslash that JSON does not know", unknown_escape(other));
                self.broken(at..at + width, what, &fix);
                return None;
            }
        };
        Some(simple)
    }

    /// Consumes the four hex digits at this position, if there are four.
    fn unit(&mut self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 4)?;
        let unit = u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        self.at = at + 4;
        Some(unit)
    }

    /// The character of a UTF-16 unit, together with the following unit if it is a surrogate.
    fn character(&mut self, unit: u16) -> Option<char> {
        if !(0xd800..0xdc00).contains(&unit) {
            return char::from_u32(u32::from(unit));
        }
        let here = self.at;
        let low = self.rest().starts_with("\\u").then(|| self.unit(here + 2)).flatten();
        let pair = low.and_then(|low| char::decode_utf16([unit, low]).next()?.ok());
        if pair.is_none() {
            self.at = here;
        }
        pair
    }
}

/// How to fix a backslash that JSON does not know; most of them are from regular expressions.
fn unknown_escape(escaped: Option<char>) -> String {
    match escaped {
        Some('A') => "leave \\A out: an expression begins where the path begins".to_owned(),
        Some('Z' | 'z') => "write $ for the end of the path".to_owned(),
        Some('\'') => "write the single quote alone".to_owned(),
        Some(c) if c.is_ascii_graphic() => {
            format!("double it: a regular expression's \\{c} is written \\\\{c} in JSON")
        }
        _ => "double it: a regular expression's \\. is written \\\\. in JSON".to_owned(),
    }
}
