//! Whether the user has consented to the effect of a token, as far as a request shows it.

use crate::base::Confirm;
use crate::base::Digest;
use crate::flow::session::Session;
use crate::flow::session::ShownConsent;
use crate::token::Consent;
use crate::token::Question;
use crate::token::TokenSecret;

impl Session {
    /// The consent to the token in the request itself.
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
                    // An embedded resource or a script's fetch was not opened by the user.
                    browser: self.browser().filter(|_| context.navigates),
                    signed_in,
                }
            }
        }
    }

    /// The consent to a token that a handler passes to [`Session::restore`]. `switch` means that
    /// the user has agreed to leave the browser's present session.
    pub(super) fn consent_of_handler(&self, switch: bool) -> Consent {
        let signed_in = if switch { None } else { self.signed_in() };
        match self.context.consent {
            ShownConsent::Sent => Consent::Clicked { signed_in },
            ShownConsent::Opened | ShownConsent::Clicked(..) | ShownConsent::Stale => {
                Consent::Open { row: Confirm::Never, browser: self.browser(), signed_in }
            }
        }
    }

    /// The digest by which tokens identify the browser of this request.
    fn browser(&self) -> Option<Digest> {
        self.context.binding.as_ref().map(|binding| binding.digest(self.sessions.app()))
    }
}
