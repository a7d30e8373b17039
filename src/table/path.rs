//! The canonical form of a request's path, which is matched and handed to handlers.
//!
//! A path is decoded once and either has exactly one meaning or is refused, so that no second
//! spelling of a path can bypass a row (docs/SECURITY.md T34). Nothing after this module decodes
//! again.

use std::fmt;

/// A decoded, unambiguous path: begins with `/`, has no dot segments, no runs of `/`, no control
/// characters, and no mount prefix. A trailing slash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

impl CanonicalPath {
    /// Reads the path of a request target, still percent-encoded and without its query.
    ///
    /// Parameters of the last segment, which partners append (`/paid;jsessionid=…`), are removed; a
    /// percent-encoded `;` is data and stays.
    ///
    /// `base_path` is removed from the front. Errors other than [`BadPath::OutsideMount`] become
    /// 400.
    pub fn of(raw_path: &str, base_path: &BasePath) -> Result<Self, BadPath> {
        let mut path = decode(raw_path)?;
        if let Some(plain) = without_parameters(raw_path) {
            path = decode(plain)?;
        }
        let base = base_path.as_str();
        match path.strip_prefix(base) {
            Some("") => path.replace_range(.., "/"),
            Some(rest) if rest.starts_with('/') => path.replace_range(..base.len(), ""),
            _ => return Err(BadPath::OutsideMount),
        }
        Ok(Self(path))
    }

    /// The path `/`.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Accepts a path that is decoded already, such as a part of a canonical one.
    pub(crate) fn of_decoded(path: &str) -> Option<Self> {
        path.starts_with('/').then(|| Self(path.to_owned()))
    }

    /// The path without this byte range; runs of `/` that this leaves are merged.
    pub(super) fn without(&self, range: std::ops::Range<usize>) -> Option<Self> {
        let (before, after) = (self.0.get(..range.start)?, self.0.get(range.end..)?);
        let after = if before.ends_with('/') { after.trim_start_matches('/') } else { after };
        Self::of_decoded(&format!("{before}{after}"))
    }

    /// The path itself, such as `/docs/invoices/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes, without empty ones (4D `urlPath`).
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// Which built-in part the path belongs to; such a path never reaches the table.
    pub fn reserved(&self) -> Option<Reserved> {
        Reserved::of(&self.0)
    }

    /// Whether the path belongs to a built-in part.
    pub fn is_reserved(&self) -> bool {
        self.reserved().is_some()
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of the URL under which callgate is mounted, such as `/tools`; usually none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(Option<String>);

impl BasePath {
    /// No mount prefix: the table sees whole paths.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Reads a mount prefix, written as it stands in a URL; `/` and nothing mean none.
    ///
    /// The error is a sentence that ends with the way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::none());
        }
        if text.contains(['?', '#']) {
            return Err(format!(
                "base path {text:?} has a query or fragment; write the path alone"
            ));
        }
        let path = decode(text)
            .map_err(|bad| format!("base path {text:?}: {bad}; write it such as \"/tools\""))?;
        match path.trim_end_matches('/') {
            "" => Ok(Self::none()),
            base => Ok(Self(Some(base.to_owned()))),
        }
    }

    /// The prefix without a slash at its end, or nothing.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The rule that a path violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadPath {
    /// The target does not begin with `/`.
    NoLeadingSlash,
    /// A segment is `.` or `..`, raw or encoded, with or without `;parameters`.
    DotSegment,
    /// `%2F`: a slash to some programs and a character to others.
    EncodedSlash,
    /// `\` or `%5C`: a slash to some programs.
    Backslash,
    /// A control character, NUL or DEL, raw or encoded.
    ControlCharacter,
    /// A `%` that is not followed by two hex digits.
    InvalidEscape,
    /// The decoded bytes are not UTF-8.
    InvalidUtf8,
    /// A byte beyond ASCII that is not percent-encoded (RFC 3986 §2).
    RawNonAscii,
    /// The path does not lie under the mount prefix. The response is 404, not 400.
    OutsideMount,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLeadingSlash => "the path does not begin with a slash",
            Self::DotSegment => "the path has a dot segment",
            Self::EncodedSlash => "the path has an encoded slash",
            Self::Backslash => "the path has a backslash",
            Self::ControlCharacter => "the path has a control character",
            Self::InvalidEscape => "the path has a \"%\" without two hex digits",
            Self::InvalidUtf8 => "the path is not UTF-8 once decoded",
            Self::RawNonAscii => "the path has a byte beyond ASCII that is not percent-encoded",
            Self::OutsideMount => "the path lies outside the base path",
        })
    }
}

impl std::error::Error for BadPath {}

/// The built-in parts whose paths no row can handle (docs/CONTRACT.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reserved {
    /// `/rest`
    Rest,
    /// `/4DACTION`
    FourDAction,
    /// `/$lib/renderer`
    Renderer,
    /// `/$shared`
    Shared,
}

impl Reserved {
    pub(super) const ALL: [Self; 4] = [Self::Rest, Self::FourDAction, Self::Renderer, Self::Shared];

    /// The path of the part.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "/rest",
            Self::FourDAction => "/4DACTION",
            Self::Renderer => "/$lib/renderer",
            Self::Shared => "/$shared",
        }
    }

    /// The part that a decoded path belongs to: `/rest` and `/rest/…`, not `/restaurant`.
    ///
    /// Case is ignored, so that no spelling of a reserved path reaches a catch-all row.
    pub(super) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| {
            let name = part.as_str();
            let (Some(front), Some(rest)) = (path.get(..name.len()), path.get(name.len()..)) else {
                return false;
            };
            front.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with('/'))
        })
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decodes once, merges runs of `/`, and refuses what is ambiguous.
fn decode(raw: &str) -> Result<String, BadPath> {
    if !raw.starts_with('/') {
        return Err(BadPath::NoLeadingSlash);
    }
    let mut decoded: Vec<u8> = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'/' if decoded.last() == Some(&b'/') => continue,
            b'%' => match escape(bytes.next(), bytes.next())? {
                b'/' => return Err(BadPath::EncodedSlash),
                value => value,
            },
            0x80.. => return Err(BadPath::RawNonAscii),
            byte => byte,
        };
        match value {
            b'\\' => return Err(BadPath::Backslash),
            value if value.is_ascii_control() => return Err(BadPath::ControlCharacter),
            value => decoded.push(value),
        }
    }
    let path = String::from_utf8(decoded).map_err(|_| BadPath::InvalidUtf8)?;
    if !path.is_ascii() && path.chars().any(char::is_control) {
        return Err(BadPath::ControlCharacter);
    }
    if path.split('/').any(is_dot_segment) {
        return Err(BadPath::DotSegment);
    }
    Ok(path)
}

/// A raw path without the parameters of its last segment (RFC 3986 §3.3); none if it has none.
fn without_parameters(raw: &str) -> Option<&str> {
    let last = raw.rfind('/')?;
    let parameters = raw.get(last..)?.find(';')?;
    raw.get(..last + parameters)
}

/// The byte that `%` and two hex digits stand for.
fn escape(high: Option<u8>, low: Option<u8>) -> Result<u8, BadPath> {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    match (digit(high), digit(low)) {
        // Two hex digits are at most 255.
        (Some(high), Some(low)) => {
            u8::try_from(high * 16 + low).map_err(|_| BadPath::InvalidEscape)
        }
        _ => Err(BadPath::InvalidEscape),
    }
}

/// Whether a decoded segment is `.` or `..`. Servers that know `;parameters` remove them first, so
/// that `..;x` counts as well.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, BadPath> {
        CanonicalPath::of(raw, &BasePath::none()).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn a_path_is_decoded_exactly_once_and_its_slashes_merged() {
        for (raw, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("//docs///myPage.html", "/docs/myPage.html"),
            ("/docs/", "/docs/"),
            ("/docs//", "/docs/"),
            ("/%61bc", "/abc"),
            ("/%2561", "/%61"),
            ("/caf%C3%A9", "/café"),
            ("/a+b%20c", "/a+b c"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/...", "/a..b/..."),
            ("/a;x=1", "/a"),
            ("/a;jsessionid=1A2B;y", "/a"),
            ("/a/;x", "/a/"),
            ("/;x=1", "/"),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/a;x=1/b;y", "/a;x=1/b"),
            ("/a%3Bx=1", "/a;x=1"),
            ("/caf%C3%A9;x", "/café"),
            ("/%24shared", "/$shared"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn every_rule_names_itself() {
        for (raw, expected) in [
            ("", BadPath::NoLeadingSlash),
            ("*", BadPath::NoLeadingSlash),
            ("%2Fa", BadPath::NoLeadingSlash),
            ("/a/..", BadPath::DotSegment),
            ("/a/%2e%2E/b", BadPath::DotSegment),
            ("/./a", BadPath::DotSegment),
            ("/a/..;x=1/b", BadPath::DotSegment),
            ("/a/.%3bx", BadPath::DotSegment),
            ("/a/..;x", BadPath::DotSegment),
            ("/a;x=%zz", BadPath::InvalidEscape),
            ("/a;x=%2f", BadPath::EncodedSlash),
            ("/a;x=\\", BadPath::Backslash),
            ("/a%2fb", BadPath::EncodedSlash),
            ("/a\\b", BadPath::Backslash),
            ("/a%5Cb", BadPath::Backslash),
            ("/a%00", BadPath::ControlCharacter),
            ("/a\u{7f}", BadPath::ControlCharacter),
            ("/a%C2%85", BadPath::ControlCharacter),
            ("/a\tb", BadPath::ControlCharacter),
            ("/a%", BadPath::InvalidEscape),
            ("/a%2", BadPath::InvalidEscape),
            ("/a%zz", BadPath::InvalidEscape),
            ("/a%+1", BadPath::InvalidEscape),
            ("/a%C3", BadPath::InvalidUtf8),
            ("/%c0%ae%c0%ae/", BadPath::InvalidUtf8),
            ("/café", BadPath::RawNonAscii),
        ] {
            assert_eq!(canonical(raw), Err(expected), "{raw:?}");
        }
    }

    #[test]
    fn the_mount_prefix_is_bounded_by_a_slash() {
        let base = BasePath::parse("/tools/").unwrap();
        assert_eq!(base.as_str(), "/tools");
        let under = |raw| CanonicalPath::of(raw, &base).map(|path| path.as_str().to_owned());
        assert_eq!(under("/tools").as_deref(), Ok("/"));
        assert_eq!(under("/tools/").as_deref(), Ok("/"));
        assert_eq!(under("/tools;x=1").as_deref(), Ok("/"));
        assert_eq!(under("//tools//x").as_deref(), Ok("/x"));
        assert_eq!(under("/t%6Fols/x").as_deref(), Ok("/x"));
        assert_eq!(under("/toolsx"), Err(BadPath::OutsideMount));
        assert_eq!(under("/Tools/x"), Err(BadPath::OutsideMount));
        assert_eq!(under("/"), Err(BadPath::OutsideMount));
        assert_eq!(under("/tools/../x"), Err(BadPath::DotSegment));
    }

    #[test]
    fn a_base_path_is_a_plain_path_or_none() {
        assert_eq!(BasePath::parse(""), Ok(BasePath::none()));
        assert_eq!(BasePath::parse("//"), Ok(BasePath::none()));
        assert_eq!(
            BasePath::parse("tools").unwrap_err(),
            "base path \"tools\": the path does not begin with a slash; write it such as \"/tools\""
        );
        assert!(BasePath::parse("/a?b").is_err());
        assert!(BasePath::parse("/a/../b").is_err());
    }

    #[test]
    fn reserved_paths_are_whole_segments_in_any_case() {
        let reserved = |raw| CanonicalPath::of(raw, &BasePath::none()).unwrap().reserved();
        assert_eq!(reserved("/rest"), Some(Reserved::Rest));
        assert_eq!(reserved("//ReSt/x"), Some(Reserved::Rest));
        assert_eq!(reserved("/%72est"), Some(Reserved::Rest));
        assert_eq!(reserved("/4daction/f"), Some(Reserved::FourDAction));
        assert_eq!(reserved("/$lib/renderer/x"), Some(Reserved::Renderer));
        assert_eq!(reserved("/$SHARED"), Some(Reserved::Shared));
        assert_eq!(reserved("/rest;x=1"), Some(Reserved::Rest));
        for free in
            ["/restaurant", "/res", "/rest.html", "/$lib", "/$lib/rendererx", "/x/rest", "/"]
        {
            assert_eq!(reserved(free), None, "{free}");
        }
    }

    #[test]
    fn segments_have_no_empty_ones() {
        let path = CanonicalPath::of("//a//b/", &BasePath::none()).unwrap();
        assert_eq!(path.segments().collect::<Vec<_>>(), ["a", "b"]);
    }
}
