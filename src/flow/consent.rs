//! What a request shows about a person's consent to redeem its token.

use crate::base::Confirm;
use crate::base::Digest;
use crate::flow::session::Session;
use crate::token::Consent;
use crate::token::Question;
use crate::token::TokenSecret;

/// How far a request shows by itself that a person means to redeem the token in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownConsent {
    /// It is a GET, which opens a link: a person may stand behind it, or a mail filter.
    Opened,
    /// It has another method, with which nothing is only looked at (docs/CONTRACT.md §6.4).
    Sent,
    /// It is a GET, and a person agreed on the page that asked this about this token.
    Clicked(Question, Digest),
    /// It is a GET that a form of callgate's own tried to confirm and could not, such as one that
    /// stood too long. It redeems nothing, and the page is shown again.
    Stale,
}

impl ShownConsent {
    /// What a request of this method shows as it comes in.
    pub(crate) fn of(method: &str) -> Self {
        if method == "GET" { Self::Opened } else { Self::Sent }
    }

    /// Whether the form of the page was sent for this request, and counts.
    pub(crate) const fn is_click(self) -> bool {
        matches!(self, Self::Clicked(..))
    }
}

impl Session {
    /// The consent to the token that stands in the request itself.
    pub(super) fn consent_to(&self, token: Option<&TokenSecret>) -> Consent {
        let context = &self.context;
        let signed_in = self.signed_in();
        // Consent to one token is no consent to another.
        let is_about =
            |asked: &Digest| token.is_some_and(|token| token.digest(self.sessions.app()) == *asked);
        match context.consent {
            ShownConsent::Clicked(Question::Switch, asked) if is_about(&asked) => Consent::Given,
            ShownConsent::Sent => Consent::Clicked { signed_in },
            ShownConsent::Clicked(Question::Click, asked) if is_about(&asked) => {
                Consent::Clicked { signed_in }
            }
            ShownConsent::Opened | ShownConsent::Stale | ShownConsent::Clicked(..) => {
                Consent::Open {
                    row: context.row_confirm,
                    // What a page embeds, or a script fetches, was not opened by a person.
                    browser: self.browser().filter(|_| context.navigates),
                    signed_in,
                }
            }
        }
    }

    /// The consent to a token that a handler gives to [`Session::restore`]. `switch` says that the
    /// handler has asked whether the browser's own session may be left.
    pub(super) fn consent_of_handler(&self, switch: bool) -> Consent {
        let signed_in = if switch { None } else { self.signed_in() };
        match self.context.consent {
            ShownConsent::Sent => Consent::Clicked { signed_in },
            ShownConsent::Opened | ShownConsent::Clicked(..) | ShownConsent::Stale => {
                Consent::Open { row: Confirm::Never, browser: self.browser(), signed_in }
            }
        }
    }

    /// What tokens hold of the browser of this request.
    fn browser(&self) -> Option<Digest> {
        self.context.binding.as_ref().map(|binding| binding.digest(self.sessions.app()))
    }
}
