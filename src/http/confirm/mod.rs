//! Asking a person before a link counts (docs/CONTRACT.md §6.4).
//!
//! ```text
//!   GET /paid?$4DSID=T      ─▶  the store says who must be asked    token::consent
//!                                    │
//!                                page with one button               page, words, template
//!                                    │ a person presses it
//!   POST /paid?$4DCONFIRM=0 ─▶  was it our page, in this browser?   click
//!                                    │
//!                           ─▶  GET /paid?$4DSID=T, agreed to       dispatch, as ever
//!                                    │
//!                                a redirection that fits a form      form_redirect
//! ```
//!
//! Whatever only opens links stops at the page: nothing has changed in any store until the form
//! of the page comes back. It cannot be sent by another site (docs/SECURITY.md T14): the browser
//! must hold a nonce in a `Strict` cookie, the form must hold its proof for this very token, and
//! the request must say that it comes from here.

mod click;
mod form_redirect;
pub mod held;
pub(crate) mod hop;
mod nonce;
mod page;
mod site;
mod template;
mod words;

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
/// Its spellings: what rewrites the `$` of a token's key on the way rewrites this one, too.
const MARKS: [&str; 2] = [MARK, "%244DCONFIRM"];
/// What the mark says where the token stands in the path, and has no place in the query.
const IN_PATH: &str = "path";
