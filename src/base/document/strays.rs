//! Text between values that is not JSON, and files that are written in another language altogether.

use super::flaw::Flaw;
use super::raw::FileFormat;

/// Conflict markers that version control leaves in a file, at the beginning of a line.
pub(super) const CONFLICT: &str = "<<<<<<<";
/// The second side of a conflict begins with one of these.
pub(super) const OTHER_SIDE: [&str; 2] = ["|||||||", "======="];
/// A conflict ends with this one.
pub(super) const CONFLICT_END: &str = ">>>>>>>";

/// Text between values that can be skipped: its length in bytes, and what is wrong with it.
pub(super) fn stray(rest: &str) -> Option<(usize, Flaw)> {
    let first = rest.chars().next()?;
    let flaw = match first {
        '#' => {
            let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let what = "a comment that begins with #";
            return Some((line, Flaw::new("syntax", what, "begin comments with //")));
        }
        '\u{feff}' => {
            Flaw::new("syntax", "a second byte order mark", "save the file as UTF-8 without one")
        }
        '\0' => Flaw::new(
            "syntax",
            "a NUL byte between values",
            "save the file as UTF-8 text; something has written binary data into it",
        ),
        c if is_invisible(c) => Flaw::new(
            "syntax",
            format!("an invisible character (U+{:04X}) between values", u32::from(c)),
            "remove it, or write an ordinary blank",
        ),
        _ => return None,
    };
    Some((first.len_utf8(), flaw))
}

/// A conflict marker.
pub(super) fn conflict() -> Flaw {
    let what = "a mark of a merge conflict";
    Flaw::new("syntax", what, "keep one of the two sides, and remove the marks")
}

/// Characters that an editor shows as blanks or not at all, except for the blanks of JSON.
/// blanks.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1f}' | '\u{85}' | '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
        | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// A quote of a word processor or another language, and the quotes that close it.
pub(super) fn quote(c: char) -> Option<(&'static [char], Flaw)> {
    let typographic = || {
        let what = format!("a typographic quote ({c}) around text");
        let fix = "use plain double quotes; a text program has replaced them";
        Flaw::new("syntax", what, fix)
    };
    Some(match c {
        '\'' => (&['\''], Flaw::new("syntax", "single quotes around text", "use double quotes")),
        '`' => (&['`'], Flaw::new("syntax", "backticks around text", "use double quotes")),
        '“' | '”' | '„' | '‟' => (&['“', '”', '"'], typographic()),
        '‘' | '’' | '‚' | '‛' => (&['‘', '’', '\''], typographic()),
        '«' | '»' => (&['»', '«'], typographic()),
        '＂' => (&['＂'], typographic()),
        _ => return None,
    })
}

/// The language of a file that is not JSON at all.
pub(super) fn foreign(text: &str, form: &FileFormat) -> Option<Flaw> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let line = text.lines().next().unwrap_or_default().trim_end();
    let name = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        !text.is_empty() && text.chars().all(plain)
    };
    let is_entry = line.split_once(':').is_some_and(|(key, rest)| {
        name(key.trim()) && (rest.is_empty() || rest.starts_with([' ', '\t']))
    });
    let script = ["export ", "module.", "const ", "let ", "var ", "import ", "return "];
    let section = line.trim_start_matches('[').trim_end_matches(']');
    let is_section = line.starts_with('[') && line.ends_with(']') && name(section);
    let after = text.lines().skip(1).map(str::trim).find(|line| !line.is_empty());
    let is_assigned =
        after.is_some_and(|line| line.split_once('=').is_some_and(|(key, _)| name(key.trim())));
    let language = match line {
        _ if line.starts_with("---") || line.starts_with("- ") || line.starts_with("%YAML") => {
            "YAML"
        }
        _ if is_entry => "YAML",
        _ if is_section && is_assigned => "TOML",
        _ if script.iter().any(|word| line.starts_with(word)) => "JavaScript",
        _ if line.starts_with('<') && !line.starts_with(CONFLICT) => "XML or HTML",
        _ => return None,
    };
    let what = format!("this looks like {language}");
    Some(Flaw::new("syntax", what, format!("write the {} in JSON: {}", form.noun, form.example)))
}
