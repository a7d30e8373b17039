//! Reads JSON with comments, and recovers from errors.
//!
//! A flaw with one likely meaning (a missing comma, single quotes, a comment with `#`) is recorded
//! and read as it is meant. After any other one the reader looks for the next object of the
//! enclosing list, at the beginning of a line, so that one broken row hides no other.

use std::borrow::Cow;
use std::ops::Range;

use super::flaw::Flaw;
use super::quoted::Quoted;
use super::raw::Document;
use super::raw::FileFormat;
use super::raw::Member;
use super::raw::SpannedValue;
use super::raw::ValueKind;
use super::strays;
use super::words;
use crate::base::limits::TABLE_DEPTH_MAX;

/// Flaws of one file; reading stops after the last one.
const FLAWS_MAX: usize = 100;

/// Reads a whole file.
pub(super) fn read<'t>(text: &'t str, form: &FileFormat) -> Document<'t> {
    let mut reader = Reader {
        text,
        at: 0,
        open: Vec::new(),
        in_conflict: false,
        over: false,
        document: Document::default(),
    };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.skip();
    if let Some(flaw) = strays::foreign(reader.rest(), form) {
        reader.flaw(reader.character_at(reader.at), flaw);
        return reader.document;
    }
    if reader.peek().is_some() {
        reader.document.root = reader.value(form);
        reader.skip();
        if reader.peek().is_some() && reader.document.root.is_some() && !reader.over {
            let what = format!("more text after the end of the {}", form.noun);
            let flaw = Flaw::new("syntax", what, form.one_root);
            reader.flaw(reader.character_at(reader.at), flaw);
        }
    }
    reader.document.flaws.sort_by_key(|(span, _)| span.start);
    reader.document
}

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    /// The closing bracket of each list and object that is open.
    open: Vec<char>,
    pub(super) in_conflict: bool,
    /// Reading has stopped: nothing more can be reported about the file.
    pub(super) over: bool,
    document: Document<'t>,
}

impl<'t> Reader<'t> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        if self.over { None } else { self.rest().chars().next() }
    }

    pub(super) fn flaw(&mut self, span: Range<usize>, flaw: Flaw) {
        if self.over {
            return;
        }
        self.document.flaws.push((span, flaw));
        self.over = self.document.flaws.len() >= FLAWS_MAX;
    }

    pub(super) fn broken(&mut self, span: Range<usize>, what: &str, fix: &str) {
        self.flaw(span, Flaw::new("syntax", what, fix));
    }

    /// The byte range of the character at a position.
    fn character_at(&self, at: usize) -> Range<usize> {
        let next = self.text.get(at..).and_then(|rest| rest.chars().next());
        at..at + next.map_or(0, char::len_utf8)
    }

    /// Records text that is not JSON and has no likely meaning.
    fn lost(&mut self) {
        let (what, fix) =
            ("this does not belong here", "look for a bracket, quote or comma missing before it");
        self.broken(self.character_at(self.at), what, fix);
    }

    /// A placeholder for a value that could not be read.
    fn unread(&mut self, span: Range<usize>) -> SpannedValue<'t> {
        self.document.unread.push(span.clone());
        SpannedValue { span, kind: ValueKind::Null }
    }

    /// The value that begins here. Records the flaw and returns none where reading cannot continue.
    fn value(&mut self, form: &FileFormat) -> Option<SpannedValue<'t>> {
        let start = self.at;
        let next = self.peek()?;
        match next {
            '[' | '{' if self.open.len() >= TABLE_DEPTH_MAX => {
                let what = format!("brackets are nested more than {TABLE_DEPTH_MAX} deep");
                let flaw = Flaw::new("table-too-deep", what, form.levels);
                self.flaw(start..start + 1, flaw);
                self.over = true;
                None
            }
            '[' => self.list(form),
            '{' => self.object(form),
            '-' | '+' | '.' | '0'..='9' => {
                let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
                let text = self.take(part);
                let span = start..self.at;
                match words::number(text) {
                    None => Some(SpannedValue { span, kind: ValueKind::Number(text) }),
                    Some(flaw) => {
                        self.flaw(span.clone(), flaw);
                        Some(self.unread(span))
                    }
                }
            }
            next if begins_word(next) => {
                let (kind, flaw) = words::word(self.take(is_word));
                let span = start..self.at;
                if let Some(flaw) = flaw {
                    self.flaw(span.clone(), flaw);
                }
                Some(match kind {
                    Some(kind) => SpannedValue { span, kind },
                    None => self.unread(span),
                })
            }
            _ => match self.quoted() {
                Quoted::Text(text) => {
                    Some(SpannedValue { span: start..self.at, kind: ValueKind::Text(text) })
                }
                Quoted::Damaged(_) => Some(self.unread(start..self.at)),
                Quoted::Open => None,
                Quoted::Nothing => {
                    self.lost();
                    None
                }
            },
        }
    }

    fn take(&mut self, part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn list(&mut self, form: &FileFormat) -> Option<SpannedValue<'t>> {
        let start = self.at;
        self.at += 1;
        self.open.push(']');
        let mut items = Vec::new();
        loop {
            self.skip();
            let here = self.at;
            match self.peek() {
                None => self.not_closed(
                    start,
                    "this list is not closed",
                    "add the missing \"]\" or comma",
                ),
                Some(']') => self.at += 1,
                Some(',') => {
                    self.stray_comma();
                    continue;
                }
                Some('}') if self.closes_another('}') => {}
                Some(next) => {
                    match self.value(form) {
                        Some(value) => items.push(value),
                        None if next == '{' && self.find_next_object(here) => {
                            let value = self.unread(here..self.at);
                            items.push(value);
                            continue;
                        }
                        None if next == '{' => {}
                        None => {
                            self.open.pop();
                            return None;
                        }
                    }
                    if self.separate(']') {
                        continue;
                    }
                    self.open.pop();
                    return None;
                }
            }
            break;
        }
        self.open.pop();
        Some(SpannedValue { span: start..self.at, kind: ValueKind::List(items) })
    }

    fn object(&mut self, form: &FileFormat) -> Option<SpannedValue<'t>> {
        let start = self.at;
        self.at += 1;
        self.open.push('}');
        let mut members = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => {
                    self.not_closed(
                        start,
                        "this object is not closed",
                        "add the missing \"}\" or comma",
                    );
                }
                Some('}') => self.at += 1,
                Some(',') => {
                    self.stray_comma();
                    continue;
                }
                Some(']') if self.closes_another(']') => {}
                Some(_) => {
                    if let Some(member) = self.member(form) {
                        members.push(member);
                        if self.separate('}') {
                            continue;
                        }
                    }
                    self.open.pop();
                    return None;
                }
            }
            break;
        }
        self.open.pop();
        Some(SpannedValue { span: start..self.at, kind: ValueKind::Object(members) })
    }

    fn member(&mut self, form: &FileFormat) -> Option<Member<'t>> {
        let start = self.at;
        let key = if self.peek().is_some_and(begins_word) {
            let word = self.take(is_word);
            let (what, fix) = ("a key without quotes", "put the key in double quotes");
            self.broken(start..self.at, what, fix);
            Cow::Borrowed(word)
        } else {
            match self.quoted() {
                Quoted::Text(key) | Quoted::Damaged(key) => key,
                Quoted::Open => return None,
                Quoted::Nothing => {
                    self.lost();
                    return None;
                }
            }
        };
        let key_span = start..self.at;
        self.skip();
        match self.peek() {
            Some(':') => self.at += 1,
            Some('=') => {
                let (what, fix) = ("an equals sign after this key", "write \"key\": value");
                self.broken(self.at..self.at + 1, what, fix);
                self.at += if self.rest().starts_with("=>") { 2 } else { 1 };
            }
            Some(next) if begins_value(next) => {
                let (what, fix) = ("a colon is missing after this key", "write \"key\": value");
                self.broken(self.character_at(self.at), what, fix);
            }
            _ => {}
        }
        self.skip();
        let here = self.at;
        let value = match self.peek() {
            Some(',') => {
                let (what, fix) = COMMA;
                self.broken(here..here + 1, what, fix);
                self.unread(here..here + 1)
            }
            Some('}') => {
                let (what, fix) =
                    ("a key without a value", "write a value after the colon, or remove the key");
                self.broken(key_span.clone(), what, fix);
                self.unread(here..here + 1)
            }
            _ => self.value(form)?,
        };
        Some(Member { key, key_span, value })
    }

    /// Reads what separates two items. False where reading cannot continue.
    fn separate(&mut self, close: char) -> bool {
        let end = self.at;
        self.skip();
        match self.peek() {
            Some(',') => {
                let comma = self.at;
                self.at += 1;
                self.skip();
                if self.peek() == Some(close) {
                    let (what, fix) = ("a comma comes after the last item", "remove the comma");
                    self.broken(comma..comma + 1, what, fix);
                }
                true
            }
            // A string has ended where another one was meant to begin.
            Some(next) if self.at == end && (begins_word(next) || next == '"') => {
                self.lost();
                false
            }
            Some(next) if begins_value(next) => {
                let (what, fix) = ("a comma is missing here", "separate items with commas");
                self.broken(self.character_at(end), what, fix);
                true
            }
            None | Some(']' | '}') => true,
            Some(_) => {
                self.lost();
                false
            }
        }
    }

    fn not_closed(&mut self, start: usize, what: &str, fix: &str) {
        self.broken(start..start + 1, what, fix);
        self.over = true;
    }

    fn stray_comma(&mut self) {
        let (what, fix) = COMMA;
        self.broken(self.at..self.at + 1, what, fix);
        self.at += 1;
    }

    /// A bracket that closes an outer list or object closes this one as well. One that closes
    /// nothing is skipped.
    fn closes_another(&mut self, bracket: char) -> bool {
        self.lost();
        let outer = self.open.split_last().map_or(&[][..], |(_, outer)| outer);
        let closes = outer.contains(&bracket);
        if !closes {
            self.at += 1;
        }
        closes
    }

    /// Skips to the next line that begins an object, or that ends a list indented no deeper than
    /// the object that began at `broken`. False where there is none: then the rest of the file
    /// belongs to the broken object.
    fn find_next_object(&mut self, broken: usize) -> bool {
        let before = self.text.get(..broken).unwrap_or_default();
        let line = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let own = indent(self.text.get(line..).unwrap_or_default());
        while let Some(end) = self.rest().find(['\n', '\r']) {
            self.at += end + 1;
            let width = indent(self.rest());
            let first = self.rest().get(width..).and_then(|line| line.chars().next());
            if first == Some('{') || first == Some(']') && width <= own {
                return true;
            }
        }
        self.over = true;
        self.at = self.text.len();
        false
    }
}

const COMMA: (&str, &str) =
    ("a comma where a value should be", "remove the comma, or add the value before it");

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$' | '@')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-' | '.')
}

fn begins_value(c: char) -> bool {
    begins_word(c)
        || c.is_ascii_digit()
        || matches!(c, '"' | '[' | '{' | '-' | '+' | '.')
        || strays::quote(c).is_some()
}
