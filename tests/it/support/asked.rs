//! The page that asks before a link counts, as a person sees it and presses its button.

use callgate::gate::Answer;

use crate::support::visitor::Ask;
use crate::support::visitor::Visitor;

/// A page that asks.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The path that the link had.
    pub(crate) path: String,
    /// The query that the form is sent to.
    pub(crate) query: String,
    pub(crate) token: String,
    pub(crate) question: String,
    pub(crate) proof: String,
    pub(crate) text: String,
}

impl Asked {
    /// Reads the page that answers a GET of `target`.
    pub(crate) fn read(target: &str, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("x-outcome").is_empty(), "the handler ran");
        let text = answer.text();
        let plain = |text: &str| text.replace("&amp;", "&").replace("&#39;", "'");
        let between = |before: &str| {
            let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
            plain(rest.split_once('"').unwrap().0)
        };
        let field = |name: &str| between(&format!("name=\"{name}\" value=\""));
        Self {
            path: target.split('?').next().unwrap().to_owned(),
            query: between("action=\"?"),
            token: field("token"),
            question: field("question"),
            proof: field("proof"),
            text,
        }
    }

    /// Whether an answer is such a page.
    pub(crate) fn is(answer: &Answer) -> bool {
        answer.text().contains("name=\"proof\"")
    }

    /// The form of the page, with what browsers send along.
    pub(crate) fn press(&self, visitor: &Visitor) -> Ask {
        self.form(visitor).header("sec-fetch-site", "same-origin").header("origin", "null")
    }

    /// The form of the page, with nothing said about where it stood.
    pub(crate) fn form(&self, visitor: &Visitor) -> Ask {
        let fields =
            [("token", &*self.token), ("question", &*self.question), ("proof", &*self.proof)];
        visitor.post(&self.target()).as_browser().form(&fields)
    }

    pub(crate) fn target(&self) -> String {
        format!("{}?{}", self.path, self.query)
    }
}
