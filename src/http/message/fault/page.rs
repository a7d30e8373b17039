//! Failures as pages for people, with details of the handler in development.

use crate::base::text::markup::escaped;

use super::Fault;
use super::Shape;

/// How a handler failed; empty where that is not known.
#[derive(Debug, Default)]
pub(super) struct HandlerFailure {
    /// `Class.method`.
    pub(super) handler: String,
    /// What it raised.
    pub(super) raised: String,
    /// Some lines of its code, with the place on the first.
    pub(super) excerpt: String,
}

impl Fault {
    /// The same, with the lines of code that it came from.
    pub(crate) fn raised_at(text: String, excerpt: String) -> Self {
        Self::raised(text).of_handler("", Some(excerpt))
    }

    /// It was this handler (`Class.method`), which stands in these lines unless it is known better.
    pub(crate) fn of_handler(mut self, name: &str, excerpt: Option<String>) -> Self {
        let failed = self.failed.get_or_insert_default();
        name.clone_into(&mut failed.handler);
        if failed.excerpt.is_empty() {
            failed.excerpt = excerpt.unwrap_or_default();
        }
        self
    }

    /// What a handler raised, in its own words.
    pub(super) fn text_raised(&self) -> Option<&str> {
        self.failed.as_ref().map(|failed| &*failed.raised).filter(|text| !text.is_empty())
    }

    /// Every word comes from this module, except in development, where the failure of a handler is
    /// shown with its code.
    pub(super) fn page(&self, development: bool) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let more = if development && self.shape == Shape::ErrorStack {
            self.details()
        } else {
            String::new()
        };
        include_str!("fault.html")
            .replace("{title}", title)
            .replace("{status}", self.status.as_str())
            .replace("{detail}", self.public)
            .replace("{code}", self.code)
            // Last: what a handler says is put in once and not looked at again.
            .replace("{more}", &more)
    }

    fn details(&self) -> String {
        let Some(failed) = &self.failed else { return String::new() };
        let parts = [&failed.handler, &failed.raised, &failed.excerpt];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.map(|part| escaped(part)).collect();
        format!("\n  <pre>{}</pre>", parts.join("\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use crate::http::message::fault::Fault;

    #[test]
    fn only_in_development_a_page_tells_where_a_handler_failed() {
        let excerpt = || Some("classes/Mail.js:2:5\n> 2 | null.x < 1;".to_owned());
        let told = Fault::raised("TypeError: no <x>".into()).of_handler("Mail.run", excerpt());
        let page = told.page(true);
        for part in ["Mail.run", "TypeError: no &lt;x&gt;", "classes/Mail.js:2:5", "null.x &lt; 1;"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        let page = told.page(false);
        assert!(!page.contains("<pre>") && !page.contains("Mail"), "{page}");
        assert!(page.contains("The handler failed.") && page.contains("handler_failed"), "{page}");
        let missing =
            Fault::missing_target("Cannot find singleton function").of_handler("Mail.gone", None);
        assert!(missing.page(true).contains("<pre>Mail.gone</pre>"));
    }

    #[test]
    fn the_place_of_what_was_thrown_counts_before_that_of_the_handler() {
        let thrown = Fault::raised_at("Error".into(), "thrown here".into());
        let page = thrown.of_handler("Mail.run", Some("defined there".into())).page(true);
        assert!(page.contains("thrown here") && !page.contains("defined there"), "{page}");
    }
}
