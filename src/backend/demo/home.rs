//! The front page: what callgate does, and what this browser's session is.

use std::sync::Arc;

use crate::backend::Singleton;
use crate::backend::demo::mail;
use crate::backend::demo::page::Html;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::fill;
use crate::backend::demo::page::short_id;
use crate::backend::demo::shop;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;

/// The class `Home`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("Home", ()).method("show", show).method("style", style).method("leave", leave)
}

/// Looking costs nothing: nothing is stored until somebody writes.
async fn show(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<OutgoingMessage, Raised> {
    let who = if session.is_guest() { "a guest".to_owned() } else { session.user_name() };
    let signed_in = if session.is_guest() { "not signed in" } else { "signed in" };
    let browsers = match session.devices().len() {
        0 => "this one; nothing is stored yet".to_owned(),
        1 => "this one".to_owned(),
        many => format!("{many}, this one among them"),
    };
    let storage = serde_json::to_string_pretty(&session.storage())?;
    let values: [(&str, Html); 9] = [
        ("short", short_id(&session).into()),
        ("id", session.id().to_string().into()),
        ("who", who.into()),
        ("browsers", browsers.into()),
        ("ends", session.expiration_date().to_string().into()),
        ("storage", storage.into()),
        ("mail", mail::state(&session).into()),
        ("order", shop::state(&session).into()),
        ("signed_in", signed_in.into()),
    ];
    Site::Shop.page(&session, "callgate demo", fill(include_str!("pages/home.html"), &values))
}

async fn style(_: Arc<()>, _: IncomingMessage, _: Session) -> Result<OutgoingMessage, Raised> {
    let message = OutgoingMessage::new()
        .with_body(include_str!("pages/demo.css"))
        .with_header("Content-Type", "text/css; charset=utf-8")?
        .with_header("Cache-Control", "no-cache")?;
    Ok(message)
}

/// Ends the session, in every browser that is in it, with every link that leads to it.
async fn leave(
    _: Arc<()>,
    _: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    session.logout().await?;
    Ok(OutgoingMessage::redirect("/")?)
}
