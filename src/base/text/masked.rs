//! Untrusted text made safe for logs: anything that may be a secret is hidden.

use std::borrow::Cow;

/// This many consecutive hex digits may be a token.
const TOKEN_DIGITS: usize = 32;
/// This many consecutive base64url letters may be a cookie's value, which has 94; ordinary words
/// have fewer.
const CREDENTIAL_LETTERS: usize = 64;

/// Escapes control characters, hides what may be a secret, and truncates to `bytes_max`.
pub(crate) fn masked(text: &str, bytes_max: usize) -> Cow<'_, str> {
    // Hides before it truncates: a truncated secret would be too short to be recognized.
    let ahead = bytes_max + CREDENTIAL_LETTERS;
    let text = text.get(..text.floor_char_boundary(ahead)).unwrap_or(text);
    let has_secret = text.split(|c| !is_letter(c)).any(may_be_secret);
    let has_control = text.chars().any(misleads);
    if !has_secret && !has_control {
        let cut = text.floor_char_boundary(bytes_max);
        return Cow::Borrowed(text.get(..cut).unwrap_or(text));
    }
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !is_letter(c)) {
        let word = part.trim_end_matches(|c| !is_letter(c));
        let rest = part.chars().skip(word.len());
        shown.push_str(if may_be_secret(word) { "*" } else { word });
        shown.extend(rest.map(|c| if misleads(c) { '\u{fffd}' } else { c }));
    }
    shown.truncate(shown.floor_char_boundary(bytes_max));
    Cow::Owned(shown)
}

/// Whether a character changes how a line looks or where it ends: control characters, line
/// separators, and characters that change the direction of text or are invisible (Unicode UAX 9, TR
/// 36).
pub(crate) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A base64url letter; hex digits are among them.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn may_be_secret(word: &str) -> bool {
    let mut runs = word.split(|c: char| !c.is_ascii_hexdigit());
    word.len() >= CREDENTIAL_LETTERS || runs.any(|run| run.len() >= TOKEN_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> Cow<'_, str> {
        super::masked(text, 256)
    }

    #[test]
    fn a_token_in_a_path_is_hidden() {
        let token = "2E5D0D57751D471DB29FD110D2DCE253";
        assert_eq!(masked(&format!("/pay/{token}/done")), "/pay/*/done");
        assert_eq!(masked(&format!("/{token}{token}")), "/*");
        assert_eq!(masked("/orders/123/abc"), "/orders/123/abc");
        assert_eq!(masked("/a\u{1b}[31m"), "/a\u{fffd}[31m");
        for odd in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{feff}', '\u{85}']
        {
            assert_eq!(masked(&format!("/a{odd}b")), "/a\u{fffd}b", "{odd:?}");
        }
        assert_eq!(masked("/שלום/日本"), "/שלום/日本", "letters of any direction are letters");
        assert_eq!(masked(&format!("/{}", "é".repeat(300))).len(), 255);
    }

    #[test]
    fn a_token_is_hidden_where_a_long_path_is_cut() {
        let token = "2E5D0D57751D471DB29FD110D2DCE253";
        for length in 200..260 {
            let path = format!("/{}/{token}/done", "é".repeat(length / 2));
            assert!(!masked(&path).contains("2E5D"), "{}", masked(&path));
        }
    }

    #[test]
    fn a_cookie_in_a_path_is_hidden() {
        let value = "Rk5fQ0-".repeat(14);
        assert_eq!(masked(&format!("/pay/{value}/done")), "/pay/*/done");
        assert_eq!(
            masked("/how-to-bring-a-callback-back-home"),
            "/how-to-bring-a-callback-back-home"
        );
    }
}
