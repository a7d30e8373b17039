//! Handles a callback under `$4DSID`, once. Run: `cargo run --example complete_operation`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use callgate::prelude::*;

type Answer = Result<OutgoingMessage, HandlerError>;

const TABLE: &str = r#"[
    { "class": "OperationsHandler", "method": "validateOperation", "pattern": "my4DApp/validate" },
    { "class": "OperationsHandler", "method": "handleOperation",
      "regexPattern": "/my4DApp/completeOperation", "verbs": "get" }
]"#;

const SETTINGS: &str = r#"
    store = "memory:"
    public_origin = "https://acme.example"
"#;

/// Starts an operation. The returned URL is given to the platform.
async fn validate(_: Arc<()>, _: IncomingMessage, session: Session) -> Answer {
    session.set("operation", "begun")?;
    let options = MintOptions::default();
    let callback = session.create_callback_url("/my4DApp/completeOperation", options).await?;
    Ok(OutgoingMessage::new().with_body(callback))
}

/// Handles the callback. If the token is valid, `session` is the session that started the
/// operation.
async fn handle(_: Arc<()>, request: IncomingMessage, session: Session) -> Answer {
    if request.otp().is_restored() {
        session.set("operation", "complete")?;
    }
    let text = match request.otp() {
        Outcome::Restored => "complete".to_owned(),
        // Platforms retry when they do not receive the response; report success again.
        Outcome::Used { at } => format!("was complete at {at}"),
        refused => format!("no operation: {}", refused.name()),
    };
    Ok(OutgoingMessage::new().with_body(text))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let operations = Singleton::new("OperationsHandler", ())
        .method("validateOperation", validate)
        .method("handleOperation", handle);
    let gate = Gate::builder(SETTINGS.parse()?).table(TABLE).singleton(operations).open().await?;

    let (user, platform) = (gate.client(), gate.client());
    let callback = user.post("/my4DApp/validate").send().await.text();
    let path = callback.trim_start_matches("https://acme.example");
    // A server is not a browser: it gets access to the session for one request, and no cookie.
    let response = platform.get(path).send().await;
    println!("the platform calls: {}, {:?}", response.text(), response.headers.get("set-cookie"));
    println!("it calls again: {}", platform.get(path).send().await.text());
    Ok(())
}
