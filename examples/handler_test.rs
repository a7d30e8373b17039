//! Drives handlers in a test, without a socket. Run: `cargo run --example handler_test`
//! (in your own `Cargo.toml`, the client comes with the feature `testing`)
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use callgate::Reply;
use callgate::prelude::*;

const TABLE: &str = r#"[
    { "class": "Shop", "method": "pay", "pattern": "pay", "verbs": "POST" },
    { "class": "Shop", "method": "paid", "pattern": "paid" }
]"#;
const SETTINGS: &str = "store = 'memory:'\npublic_origin = 'https://shop.example'";

async fn pay(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<Reply, HandlerError> {
    session.set("order", "open")?;
    let callback = session.create_callback_url("/paid", MintOptions::default()).await?;
    Ok(OutgoingMessage::redirect(&format!("https://bank.example/?return={callback}"))?.into())
}

async fn paid(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<Reply, HandlerError> {
    if request.otp().is_restored() {
        session.set("order", "paid")?;
    }
    let order: String = session.get("order")?.unwrap_or_default();
    Ok(OutgoingMessage::new().with_body(order).into())
}

/// In a test of your own: `#[tokio::test]`.
#[tokio::main]
async fn main() {
    let settings = SETTINGS.parse().expect("settings without a problem");
    let shop = Singleton::new("Shop", ()).method("pay", pay).method("paid", paid);
    let gate = Gate::builder(settings).table(TABLE).singleton(shop).open().await;
    let gate = gate.expect("a gate that opens");

    // A client has a cookie jar, like a browser; another client has one of its own.
    let (browser, bank) = (gate.client(), gate.client());
    let response = browser.post("/pay").send().await;
    assert_eq!(response.status, 303);
    let (_, callback) = response.header("location").split_once("return=").expect("a callback");
    let path = callback.trim_start_matches("https://shop.example");
    assert_eq!(bank.get(path).send().await.text(), "paid");
    assert_eq!(bank.get(path).send().await.text(), "", "it is good once");
    assert_eq!(browser.get("/paid").send().await.text(), "paid");
    println!("paid, once");
}
