//! The position between two characters, at which an assertion such as `^` or `\b` is evaluated.

use regex_syntax::hir::Look;

/// Whether a character is a word character, by the rules of Unicode and by those of ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct InWord {
    unicode: bool,
    ascii: bool,
}

impl InWord {
    /// The classification of a character.
    pub(super) fn of(c: char) -> Self {
        // Without its Unicode tables the parser refuses \w, so the value is not used.
        let unicode = regex_syntax::try_is_word_character(c).unwrap_or_default();
        Self { unicode, ascii: c.is_ascii_alphanumeric() || c == '_' }
    }

    pub(super) fn code(self) -> u32 {
        u32::from(self.unicode) | u32::from(self.ascii) << 1
    }

    pub(super) const fn of_code(code: u32) -> Self {
        Self { unicode: code & 1 == 1, ascii: code & 2 == 2 }
    }
}

/// A position between two characters of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct CharBoundary {
    pub(super) at_start: bool,
    pub(super) before: InWord,
    /// None at the end of the path.
    pub(super) after: Option<InWord>,
}

impl CharBoundary {
    /// Whether the assertion holds here. A canonical path has no line breaks, so lines begin and
    /// end with the path.
    pub(super) fn holds(self, look: Look) -> bool {
        let after = self.after.unwrap_or_default();
        let (old, new) = (self.before, after);
        match look {
            Look::Start | Look::StartLF | Look::StartCRLF => self.at_start,
            Look::End | Look::EndLF | Look::EndCRLF => self.after.is_none(),
            Look::WordAscii => old.ascii != new.ascii,
            Look::WordAsciiNegate => old.ascii == new.ascii,
            Look::WordUnicode => old.unicode != new.unicode,
            Look::WordUnicodeNegate => old.unicode == new.unicode,
            Look::WordStartAscii => !old.ascii && new.ascii,
            Look::WordEndAscii => old.ascii && !new.ascii,
            Look::WordStartUnicode => !old.unicode && new.unicode,
            Look::WordEndUnicode => old.unicode && !new.unicode,
            Look::WordStartHalfAscii => !old.ascii,
            Look::WordEndHalfAscii => !new.ascii,
            Look::WordStartHalfUnicode => !old.unicode,
            Look::WordEndHalfUnicode => !new.unicode,
        }
    }
}
