//! What a request and its row say about redemptions and cookies.

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::Caller;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::flow::binding::Binding;
use crate::token::Question;

/// What the row and the request say about a redemption.
#[derive(Debug, Clone)]
pub(crate) struct RedeemContext {
    /// The handler of the row, as `Class.method`.
    pub(crate) handler: Arc<str>,
    /// What the row wants the bearer of a token to get.
    pub(crate) row_mode: RestoreMode,
    /// Whether a browser or a program sends it.
    pub(crate) caller: Caller,
    /// Whether the request may redeem at all; one that only looks may not.
    pub(crate) may_redeem: bool,
    /// What the browser says it is.
    pub(crate) label: String,
    /// Whether the row asks before a link counts.
    pub(crate) row_confirm: Confirm,
    /// How far the request shows that a person means to redeem its token.
    pub(crate) consent: ShownConsent,
    /// Whether the response may be shown as a page of its own.
    pub(crate) navigates: bool,
    /// What this browser was given when it minted a token, if its request has it.
    pub(crate) binding: Option<Binding>,
    /// Whether the request has several, of which none counts and none is overwritten.
    pub(crate) binding_doubled: bool,
    /// The host that the request names, where that is text.
    pub(crate) host: Option<String>,
    /// The address of the client, if there is one.
    pub(crate) client: Option<IpAddr>,
}

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
