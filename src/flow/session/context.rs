//! The properties of a request and its row that concern redemptions and cookies.

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::Caller;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::flow::binding::Binding;
use crate::token::Question;

/// The properties of the row and the request that concern a redemption.
#[derive(Debug, Clone)]
pub(crate) struct SessionContext {
    /// The handler of the row, as `Class.method`.
    pub(crate) handler: Arc<str>,
    /// The restore mode that the row sets for the bearer of a token.
    pub(crate) row_mode: RestoreMode,
    /// Whether a browser or a program sends it.
    pub(crate) caller: Caller,
    /// Whether the request may redeem at all. A request that only reads may not.
    pub(crate) may_redeem: bool,
    /// The label of the browser, from its `User-Agent`.
    pub(crate) label: String,
    /// Whether the row requires a confirmation before a link counts.
    pub(crate) row_confirm: Confirm,
    /// How far the request shows that the user intends to redeem its token.
    pub(crate) consent: ShownConsent,
    /// Whether the response may be shown as a page of its own.
    pub(crate) navigates: bool,
    /// The binding that this browser was given when it minted a token, if its request has it.
    pub(crate) binding: Option<Binding>,
    /// Whether the request has several, of which none counts and none is overwritten.
    pub(crate) binding_doubled: bool,
    /// The host that the request names, where that is text.
    pub(crate) host: Option<String>,
    /// The address of the client, if there is one.
    pub(crate) client: Option<IpAddr>,
}

/// How far a request shows by itself that the user intends to redeem its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownConsent {
    /// A GET, which may have been sent by a user who opened a link, or by a mail filter.
    Opened,
    /// Another method, which links do not use (docs/CONTRACT.md §6.4).
    Sent,
    /// A GET whose user agreed to this question about this token on the confirmation page.
    Clicked(Question, Digest),
    /// A GET that a confirmation form failed to confirm, for example because it had expired. It
    /// redeems nothing, and the page is shown again.
    Stale,
}

impl ShownConsent {
    /// The consent that a request shows by its method.
    pub(crate) fn of(method: &str) -> Self {
        if method == "GET" { Self::Opened } else { Self::Sent }
    }

    /// Whether the form of the page was sent for this request, and counts.
    pub(crate) const fn is_click(self) -> bool {
        matches!(self, Self::Clicked(..))
    }
}
