//! The parts of a multipart form in memory, and where each of them stands (RFC 7578).

use std::ops::Range;

use crate::base::limits::FORM_FIELDS_MAX;

/// One part of a form.
pub(crate) struct Part<'b> {
    /// The name of its field, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) content: &'b [u8],
    /// Its bytes with the delimiter in front, which can be taken out of the form.
    pub(crate) whole: Range<usize>,
}

/// The boundary that a content type names, if it is that of a multipart form.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    multer::parse_boundary(content_type).ok()
}

/// The parts of a form; none of a body that is no multipart form. One more than a form may have
/// ends the search.
pub(crate) fn parts<'b>(content_type: &str, body: &'b [u8]) -> Vec<Part<'b>> {
    let Some(boundary) = boundary(content_type) else { return Vec::new() };
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = delimiters(body, delimiter.as_bytes());
    let mut parts = Vec::new();
    for pair in starts.windows(2).take(FORM_FIELDS_MAX + 1) {
        let [start, end] = pair else { break };
        let Some(inside) = body.get(start + delimiter.len()..*end) else { break };
        // The line break in front of a delimiter belongs to it (RFC 2046 §5.1.1).
        let inside = inside.strip_suffix(b"\n").unwrap_or(inside);
        let inside = inside.strip_suffix(b"\r").unwrap_or(inside);
        let (head, content) = split_head(inside);
        parts.push(Part { name: name(head), content, whole: *start..*end });
    }
    parts
}

/// Where the lines begin that are delimiters.
fn delimiters(body: &[u8], delimiter: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(delimiter) {
            starts.push(at);
            if starts.len() > FORM_FIELDS_MAX + 2 {
                break;
            }
        }
        at += line.len();
    }
    starts
}

/// The header of a part, and what follows the empty line.
fn split_head(part: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for (nth, line) in part.split_inclusive(|byte| *byte == b'\n').enumerate() {
        at += line.len();
        // The first line is what is left of the delimiter's.
        if nth > 0 && matches!(line, b"\r\n" | b"\n") {
            return part.split_at(at);
        }
    }
    (part, &[])
}

/// The name in the `Content-Disposition` of a part.
fn name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().find(|line| {
        line.split(':')
            .next()
            .is_some_and(|name| name.trim().eq_ignore_ascii_case("content-disposition"))
    })?;
    line.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("name").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_with_their_places() {
        let form =
            b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\nT\r\n\
                     --B\r\ncontent-disposition: form-data; filename=\"a;b\"; name=f\r\n\
                     Content-Type: text/plain\r\n\r\nline\r\n\r\nline\r\n--B--\r\n";
        let parts = parts("multipart/form-data; boundary=\"B\"", form);
        let seen: Vec<_> = parts.iter().map(|part| (part.name.as_deref(), part.content)).collect();
        assert_eq!(seen, [(Some("state"), &b"T"[..]), (Some("f"), b"line\r\n\r\nline")]);
        assert!(form[parts[0].whole.clone()].starts_with(b"--B\r\nContent-Disposition"));
        assert!(form[parts[0].whole.end..].starts_with(b"--B\r\ncontent"));
    }

    #[test]
    fn a_body_that_is_none_has_no_parts() {
        for (kind, body) in [
            ("text/plain", &b"--B\r\n\r\nx\r\n--B--"[..]),
            ("multipart/form-data", b"--B\r\n\r\nx\r\n--B--"),
            ("multipart/form-data; boundary=B", b""),
            ("multipart/form-data; boundary=B", b"--B"),
        ] {
            assert!(parts(kind, body).is_empty(), "{kind}");
        }
    }
}
