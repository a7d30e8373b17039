//! Signing in elsewhere: the provider hands `state` back, and the handler restores the session
//! from it (4D §3.5, the scenario with `restore`).

use std::sync::Arc;

use crate::backend::Singleton;
use crate::backend::demo::note::Note;
use crate::backend::demo::note::WayOn;
use crate::backend::demo::note::refused;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::encoded;
use crate::backend::demo::page::fill;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;
use crate::http::SessionError;
use crate::http::session::Privileges;
use crate::token::MintWish;

const BACK: WayOn = ("/signin", "Back to the sign-in page");

/// The class `SignIn`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("SignIn", ())
        .method("show", show)
        .method("start", start)
        .method("finish", finish)
        .method("lounge", lounge)
}

async fn show(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<OutgoingMessage, Raised> {
    let (title, template) = if session.is_guest() {
        ("Sign in", include_str!("pages/sign-in.html"))
    } else {
        ("Welcome", include_str!("pages/signed-in.html"))
    };
    Site::Shop.page(&session, title, fill(template, &[("name", session.user_name().into())]))
}

/// Sends the visitor to the provider. The token is the `state` that every provider hands back.
async fn start(
    _: Arc<()>,
    _: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let wish = MintWish {
        lifespan_secs: Some(10 * 60),
        handlers: vec!["SignIn.finish".into()],
        ..MintWish::default()
    };
    let state = match session.create_otp(wish).await {
        Err(SessionError::TooManyTokens) => return too_many(&session),
        state => state?,
    };
    let redirect_uri = encoded(&session.public_url("/oauth/callback")?);
    let url = format!("/example-id?client_id=demo&redirect_uri={redirect_uri}&state={state}");
    Ok(OutgoingMessage::redirect(&url)?)
}

fn too_many(session: &Session) -> Result<OutgoingMessage, Raised> {
    let text = "You have begun 16 times and never finished. Wait ten minutes.";
    Note { status: 429, title: "Enough attempts for now", text, way_on: BACK }
        .page(Site::Shop, session)
}

/// Where the provider sends the visitor back to.
async fn finish(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let query = request.url_query();
    let Some(state) = query.find("state") else { return Ok(OutgoingMessage::redirect("/signin")?) };
    if !session.restore(state).await? {
        return refused(&session, session.restore_outcome(), BACK);
    }
    // From here on `session` is the one that went to the provider.
    let Some(name) = query.find("code").and_then(exchange) else {
        let text = "Example ID told us nothing about you. Your session is as it was.";
        let note = Note { status: 200, title: "You are not signed in", text, way_on: BACK };
        return note.page(Site::Shop, &session);
    };
    // Gaining a privilege gives this browser a fresh credential, and nobody else stays in.
    session.set_privileges(Privileges {
        privileges: vec!["member".to_owned()],
        user_name: Some(name),
        ..Privileges::default()
    })?;
    Ok(OutgoingMessage::redirect("/signin")?)
}

/// Asks the provider who it was. A real code says nothing and is exchanged for a name between
/// the two servers (RFC 6749 §4.1.3); the code of Example ID is the name.
fn exchange(code: &str) -> Option<String> {
    const NAME_CHARS_MAX: usize = 40;
    let name: String =
        code.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    (!name.is_empty()).then_some(name)
}

/// Seen by members only; the row says so, not this function.
async fn lounge(
    _: Arc<()>,
    _: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let text = "The row of this page says \"requires\": \"member\". Guests get 401 before any \
                handler runs.";
    Note { status: 200, title: "The members’ lounge", text, way_on: BACK }
        .page(Site::Shop, &session)
}
