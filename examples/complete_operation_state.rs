//! Restores a session from a token in `state`. Run: `cargo run --example complete_operation_state`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use callgate::Confirm;
use callgate::prelude::*;

type Answer = Result<OutgoingMessage, HandlerError>;

const TABLE: &str = r#"[
    { "class": "OperationsHandler", "method": "validate", "pattern": "my4DApp/validate" },
    { "class": "OperationsHandler", "method": "handleOperation",
      "regexPattern": "/my4DApp/completeOperation", "verbs": "get" }
]"#;

/// Starts an operation. The platform accepts a `state` but no parameter of ours in its URL.
async fn validate(_: Arc<()>, _: IncomingMessage, session: Session) -> Answer {
    session.set("operation", "begun")?;
    let handlers = vec!["OperationsHandler.handleOperation".into()];
    // Only the browser that started the operation may finish it: a link can be given to anyone.
    let confirm = Some(Confirm::Foreign);
    let token =
        session.create_otp(MintOptions { handlers, confirm, ..MintOptions::default() }).await?;
    Ok(OutgoingMessage::new().with_body(token))
}

/// The platform redirects the user back. Only this function knows that `state` is a token.
async fn handle(_: Arc<()>, request: IncomingMessage, session: Session) -> Answer {
    let state = request.url_query().find("state").unwrap_or_default();
    let outcome = session.restore(state).await?;
    if outcome != Outcome::Restored {
        let text = format!("refused: {}", outcome.name());
        return Ok(OutgoingMessage::new().with_status(403)?.with_body(text));
    }
    let before: String = session.get("operation")?.unwrap_or_default();
    session.set("operation", "complete")?;
    Ok(OutgoingMessage::new().with_body(format!("{before} is complete")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let operations = Singleton::new("OperationsHandler", ())
        .method("validate", validate)
        .method("handleOperation", handle);
    let settings = "store = 'memory:'".parse()?;
    let gate = Gate::builder(settings).table(TABLE).singleton(operations).open().await?;

    let user = gate.client();
    let state = user.post("/my4DApp/validate").send().await.text();
    let path = format!("/my4DApp/completeOperation?state={state}");
    for (who, path) in [("another browser", &path), ("the same again", &path)] {
        let response = gate.client().get(path).as_browser().send().await;
        println!("{who}: {} {}", response.status, response.text());
    }
    Ok(())
}
