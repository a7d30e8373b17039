//! The confirmation that a link may require before it counts (docs/CONTRACT.md §6.4).
//!
//! ```text
//!   GET /paid?$4DSID=T      ─▶  the store requires consent          token::consent
//!                                    │
//!                                page with one button               page, words, template
//!                                    │ the user presses it
//!   POST /paid?$4DCONFIRM=0 ─▶  is the form authentic?              click
//!                                    │
//!                           ─▶  GET /paid?$4DSID=T with consent     dispatch, as usual
//!                                    │
//!                                a redirect that suits a form        form_redirect
//! ```
//!
//! A client that only opens links stops at the page, and no store changes until the form of the
//! page is sent. Another site cannot send it (docs/SECURITY.md T14): the browser must have a nonce
//! in a `Strict` cookie, the form must contain its proof for this very token, and the request must
//! indicate that it comes from this site.

mod click;
mod form_redirect;
pub mod held;
pub(crate) mod hop;
mod nonce;
mod page;
mod site;
mod template;
mod words;

pub(crate) use click::comes_from_elsewhere;
pub(crate) use click::comes_from_here;
pub(crate) use click::hear;
pub(crate) use click::is_click;
pub use click::stands_for_get;
pub(crate) use form_redirect::fit_for_form;
pub(crate) use page::Asking;
pub(crate) use page::page;
pub use site::Site;
pub use template::{BadPage, PAGE_BYTES_MAX, Template};

/// The query parameter that marks the form of the page.
const MARK: &str = "$4DCONFIRM";
/// Its spellings. Software that rewrites the `$` of a token's parameter rewrites this one, too.
const MARKS: [&str; 2] = [MARK, "%244DCONFIRM"];
/// The value of the mark when the token is in the path, and not in the query.
const IN_PATH: &str = "path";
