//! An identity provider, played: it asks who you are and hands back a code with the `state`.

use std::sync::Arc;

use crate::backend::Singleton;
use crate::backend::demo::note::Note;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::encoded;
use crate::backend::demo::page::fill;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;

/// The class `ExampleId`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("ExampleId", ()).method("show", show).method("answer", answer)
}

async fn show(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let find = |name: &str| request.url_query().find(name).unwrap_or_default();
    let (redirect_uri, state) = (find("redirect_uri"), find("state"));
    if !is_registered(&session, redirect_uri) {
        return unknown(&session);
    }
    let values = [("redirect_uri", redirect_uri.into()), ("state", state.into())];
    Site::ExampleId.page(&session, "Sign in", fill(include_str!("pages/example-id.html"), &values))
}

async fn answer(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let form = request.form().await?;
    let field = |name: &str| form.text(name).unwrap_or_default();
    let redirect_uri = field("redirect_uri");
    if !is_registered(&session, &redirect_uri) {
        return unknown(&session);
    }
    let state = encoded(&field("state"));
    let said = match field("decision").as_str() {
        "yes" => format!("code={}", encoded(&field("name"))),
        _ => "error=access_denied".to_owned(),
    };
    Ok(OutgoingMessage::redirect(&format!("{redirect_uri}?{said}&state={state}"))?)
}

/// Whether the client has registered this address: it must be the very same, or the code could
/// be sent to anybody (RFC 6749 §10.6).
fn is_registered(session: &Session, redirect_uri: &str) -> bool {
    session.public_url("/oauth/callback").is_ok_and(|registered| registered == redirect_uri)
}

fn unknown(session: &Session) -> Result<OutgoingMessage, Raised> {
    let text = "The site that sent you here has not registered the address to return to.";
    let way_on = ("/signin", "Back to the shop");
    Note { status: 400, title: "We do not know this client", text, way_on }
        .page(Site::ExampleId, session)
}
