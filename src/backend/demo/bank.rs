//! A payment page, played: it knows an amount and an address to call back, and no session.

use std::sync::Arc;

use crate::backend::Singleton;
use crate::backend::demo::note::Note;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::fill;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;

/// The class `Bank`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("Bank", ()).method("show", show).method("pay", pay)
}

async fn show(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let query = request.url_query();
    let Some(callback) = query.find("return").filter(|url| is_known(&session, url)) else {
        return unknown(&session);
    };
    let amount = query.find("amount").unwrap_or("nothing");
    let values = [("amount", amount.into()), ("return", callback.into())];
    Site::Bank.page(&session, "Pay", fill(include_str!("pages/bank.html"), &values))
}

async fn pay(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let callback = request.form().await?.text("return");
    match callback.filter(|url| is_known(&session, url)) {
        Some(callback) => Ok(OutgoingMessage::redirect(&callback)?),
        None => unknown(&session),
    }
}

/// Whether this is the address at which the shop said it can be called back. A bank that sends
/// people anywhere is a gift to whoever wants them elsewhere (an open redirect, CWE-601).
///
/// The page shows the address in a line for a shell as well, so it may have nothing in it that a
/// shell could take for its own.
fn is_known(session: &Session, url: &str) -> bool {
    let Ok(registered) = session.public_url("/order/paid?") else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=&$".contains(&byte);
    url.strip_prefix(&registered).is_some_and(|query| query.bytes().all(plain))
}

fn unknown(session: &Session) -> Result<OutgoingMessage, Raised> {
    let text = "The shop that sent you here has not registered the address to return to.";
    let way_on = ("/order", "Back to the shop");
    Note { status: 400, title: "We cannot take this payment", text, way_on }
        .page(Site::Bank, session)
}
