//! What the caller of a request that failed can read: a page, or what programs read.

use hyper::HeaderMap;
#[cfg(test)]
use hyper::header;

use crate::http::message::parse::accept;

/// What the caller can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// `application/problem+json`.
    Problem,
    /// A small page.
    Page,
    /// `__ERROR` arrays, under `/rest`.
    ErrorStack,
    /// `{code, status, message}`, from the rows of `callgate.Accounts`
    /// (github.com/pip-services/pip-services-docs).
    Accounts,
}

impl ErrorFormat {
    /// What a caller with these headers can read.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let wish = |name: &str| accept::weight(headers, name);
        let json = [wish("application/problem+json"), wish("application/json")];
        let json = json.into_iter().flatten().fold(0.0, f32::max);
        match wish("text/html") {
            Some(html) if html > 0.0 && html >= json => Self::Page,
            _ => Self::Problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn accept(text: &'static str) -> HeaderMap {
        [(header::ACCEPT, HeaderValue::from_static(text))].into_iter().collect()
    }

    #[test]
    fn people_get_a_page_and_programs_a_problem() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (text, format) in [
            (browser, ErrorFormat::Page),
            ("text/html;q=0.5, application/json", ErrorFormat::Problem),
            ("application/json;q=0.5, text/html", ErrorFormat::Page),
            ("text/html;q=0", ErrorFormat::Problem),
            ("*/*", ErrorFormat::Problem),
        ] {
            assert_eq!(ErrorFormat::of(&accept(text)), format, "{text}");
        }
        assert_eq!(ErrorFormat::of(&HeaderMap::new()), ErrorFormat::Problem);
    }
}
