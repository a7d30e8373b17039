//! Validates an e-mail address by a link with `$4DSID`. Run: `cargo run --example validate_email`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use callgate::prelude::*;

type Answer = Result<OutgoingMessage, HandlerError>;

const TABLE: &str = r#"[
    { "class": "Users", "method": "create", "pattern": "users", "verbs": "POST" },
    { "class": "RequestHandler", "method": "validateEmail", "pattern": "validateEmail", "verbs": "GET" }
]"#;

const SETTINGS: &str = r#"
    store = "memory:"
    public_origin = "https://my.server.example"
"#;

/// Records the pending validation and creates the link for the mail.
async fn create(_: Arc<()>, request: IncomingMessage, session: Session) -> Answer {
    session.set("email", request.form().await?.text("email"))?;
    session.set("step", "Waiting for validation email")?;
    let handlers = vec!["RequestHandler.validateEmail".into()];
    let options = MintOptions { handlers, ..MintOptions::default() };
    let link = session.create_callback_url("/validateEmail", options).await?;
    Ok(OutgoingMessage::new().with_body(link))
}

/// Handles the link: `session` is the one that requested it, whichever browser this is.
async fn validate_email(_: Arc<()>, request: IncomingMessage, session: Session) -> Answer {
    let step = session.get::<String>("step")?.unwrap_or_default();
    if !request.otp().is_restored() || step != "Waiting for validation email" {
        let text = format!("Invalid token: {}", request.otp().name());
        return Ok(OutgoingMessage::new().with_status(403)?.with_body(text));
    }
    session.set("step", "Email validated")?;
    let email: String = session.get("email")?.unwrap_or_default();
    Ok(OutgoingMessage::new().with_body(format!("Congratulations, {email} has been validated")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let users = Singleton::new("Users", ()).method("create", create);
    let handler = Singleton::new("RequestHandler", ()).method("validateEmail", validate_email);
    let gate = Gate::builder(SETTINGS.parse()?).table(TABLE);
    let gate = gate.singleton(users).singleton(handler).open().await?;

    let (desk, phone) = (gate.client(), gate.client());
    let link = desk.post("/users").form(&[("email", "anna@example.com")]).send().await.text();
    let path = link.trim_start_matches("https://my.server.example");
    println!("the phone opens the link: {}", phone.get(path).as_browser().send().await.text());
    println!("a scanner opens it later: {}", gate.client().get(path).send().await.text());
    Ok(())
}
