//! Validating an e-mail address: the link in the mail leads back to the session that asked for
//! it, from whatever browser it is opened in (4D §3.5, `validateEmail`).

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::backend::Singleton;
use crate::backend::demo::note::Note;
use crate::backend::demo::note::WayOn;
use crate::backend::demo::note::refused;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::fill;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;
use crate::http::SessionError;
use crate::token::MintWish;
use crate::token::Outcome;

/// What the session remembers of the validation, under the key `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Status {
    step: Step,
    email: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    #[serde(rename = "Waiting for validation email")]
    Waiting,
    #[serde(rename = "Email validated")]
    Validated,
}

const BACK: WayOn = ("/mail", "Back to the e-mail page");

/// The class `Mail`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("Mail", ())
        .method("show", show)
        .method("send", send)
        .method("validate", validate)
}

/// How far the validation is, for the front page.
pub(super) fn state(session: &Session) -> String {
    match Status::of(session) {
        None => "not begun".to_owned(),
        Some(Status { step: Step::Waiting, .. }) => "waiting for the link".to_owned(),
        Some(Status { step: Step::Validated, email }) => format!("{email} is validated"),
    }
}

async fn show(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<OutgoingMessage, Raised> {
    let (title, template, email) = match Status::of(&session) {
        None => ("Validate an e-mail address", include_str!("pages/mail-form.html"), String::new()),
        Some(Status { step: Step::Waiting, email }) => {
            ("Waiting for validation email", include_str!("pages/mail-waiting.html"), email)
        }
        Some(Status { step: Step::Validated, email }) => {
            ("Email validated", include_str!("pages/mail-validated.html"), email)
        }
    };
    Site::Shop.page(&session, title, fill(template, &[("email", email.into())]))
}

/// Mints the link and shows the mail. A real application sends it and shows nothing: whoever
/// sees the link can follow it.
async fn send(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let form = request.form().await?;
    let email = match Status::of(&session) {
        None => form.text("email").unwrap_or_default().trim().to_owned(),
        // The address stays the one that earlier links of this session were sent to. Whoever
        // could change it now could validate an address with a link that came to another.
        Some(Status { step: Step::Waiting, email }) => email,
        Some(_) => return Ok(OutgoingMessage::redirect("/mail")?),
    };
    if !is_address(&email) {
        let text = "Write one like anna@example.com.";
        let note = Note { status: 422, title: "That is no e-mail address", text, way_on: BACK };
        return note.page(Site::Shop, &session);
    }
    session.set("status", Status { step: Step::Waiting, email: email.clone() })?;
    let lifespan_secs = if form.text("hurry").is_some() { 10 } else { 15 * 60 };
    let wish = MintWish {
        lifespan_secs: Some(lifespan_secs),
        handlers: vec!["Mail.validate".into()],
        ..MintWish::default()
    };
    let link = match session.create_callback_url("/validateEmail", wish).await {
        Err(SessionError::TooManyTokens) => return too_many(&session),
        link => link?,
    };
    let life = if lifespan_secs == 10 { "10 seconds" } else { "15 minutes" };
    let values = [("email", email.into()), ("link", link.into()), ("life", life.into())];
    Site::Shop.page(&session, "You have mail", fill(include_str!("pages/mailbox.html"), &values))
}

fn too_many(session: &Session) -> Result<OutgoingMessage, Raised> {
    let text = "A session can have 16 links that nobody has followed. Use one, or wait until \
                one has expired.";
    Note { status: 429, title: "Enough mails for now", text, way_on: BACK }
        .page(Site::Shop, session)
}

/// Where the link leads. When this runs, `session` is the one that the link was minted in.
async fn validate(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    match request.otp() {
        Outcome::Restored => {}
        // Without a token this is just somebody's own session, which proves nothing.
        Outcome::Absent => return Ok(OutgoingMessage::redirect("/mail")?),
        outcome => return refused(&session, outcome, BACK),
    }
    let Some(Status { step, email }) = Status::of(&session) else {
        return refused(&session, Outcome::Unknown, BACK);
    };
    if step == Step::Validated {
        let text = "An earlier link did it. There is nothing left to do.";
        let note = Note { status: 200, title: "Your email is validated", text, way_on: BACK };
        return note.page(Site::Shop, &session);
    }
    session.set("status", Status { step: Step::Validated, email: email.clone() })?;
    let content = fill(include_str!("pages/congratulations.html"), &[("email", email.into())]);
    Site::Shop.page(&session, "Congratulations", content)
}

impl Status {
    fn of(session: &Session) -> Option<Self> {
        serde_json::from_value(session.get("status")?).ok()
    }
}

/// Whether mail might arrive there; only the mail itself can prove it.
fn is_address(text: &str) -> bool {
    /// The longest that can be delivered (RFC 5321 §4.5.3.1.3).
    const ADDRESS_BYTES_MAX: usize = 254;
    let halves = text.split_once('@');
    text.len() <= ADDRESS_BYTES_MAX
        && halves.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}
