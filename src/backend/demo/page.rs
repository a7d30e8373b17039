//! Pages: templates with holes, filled so that nobody's words become markup.

use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use crate::base::markup::escaped;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// Our own.
    Shop,
    /// A payment page, played.
    Bank,
    /// An identity provider, played.
    ExampleId,
}

/// Markup that may be sent. Any other text becomes one by [`From`], which takes its markup away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Html(String);

impl<T: AsRef<str>> From<T> for Html {
    fn from(words: T) -> Self {
        Self(escaped(words.as_ref()))
    }
}

/// Fills the holes of a template, written `{{name}}`.
///
/// The template is read once and what is filled in is not read again, so that nobody can bring
/// a hole of his own.
pub(super) fn fill(template: &str, values: &[(&str, Html)]) -> Html {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        debug_assert!(value.is_some(), "nothing fills {name:?}");
        page.push_str(value.map_or("", |(_, html)| &html.0));
        page.push_str(rest);
    }
    Html(page)
}

impl Site {
    /// A whole page of this site, under a policy that lets no script and no other site in.
    pub(super) fn page(
        self,
        session: &Session,
        title: &str,
        content: Html,
    ) -> Result<OutgoingMessage, Raised> {
        let (class, brand, aside) = match self {
            Self::Shop => ("shop", "callgate demo", format!("session {}", short_id(session))),
            Self::Bank => ("bank", "Moon Bank", "imagine another site".to_owned()),
            Self::ExampleId => ("id", "Example ID", "imagine another site".to_owned()),
        };
        let values = [
            ("title", title.into()),
            ("class", class.into()),
            ("brand", brand.into()),
            ("aside", aside.into()),
            ("content", content),
        ];
        let page = fill(include_str!("pages/shell.html"), &values);
        // A form that is answered with a redirection to the public address needs that address
        // to be allowed, when the visitor knows this machine by another name.
        let origin = session.public_url("/").unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src 'self'; form-action 'self' {origin}; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        let message = OutgoingMessage::html(page.0)
            .with_header("Content-Security-Policy", &policy)?
            .with_header("Referrer-Policy", "no-referrer")?
            .with_header("Cache-Control", "no-store")?;
        Ok(message)
    }
}

/// The beginning of a session's name, enough for a person to know it again.
pub(super) fn short_id(session: &Session) -> String {
    session.id().to_string().chars().take(8).collect()
}

/// Makes a text part of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Whether a person reads the answer, and not a program.
pub(super) fn reads_html(request: &IncomingMessage) -> bool {
    request.header("accept").contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_words_become_markup_or_holes() {
        let filled = fill(
            "<p title=\"{{a}}\">{{b}}</p>",
            &[("a", "\" onclick='x' &amp; {{b}}".into()), ("b", "<script>".into())],
        );
        let expected = "<p title=\"&quot; onclick=&#39;x&#39; &amp;amp; {{b}}\">&lt;script&gt;</p>";
        assert_eq!(filled.0, expected);
    }

    #[test]
    fn a_query_keeps_everything_that_was_put_into_it() {
        assert_eq!(encoded("a b&c=$4DSID/é"), "a%20b%26c%3D%244DSID%2F%C3%A9");
    }
}
