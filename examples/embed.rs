//! Embeds callgate in a program, with a native handler. Run: `cargo run --example embed`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use callgate::http::HandlerError;
use callgate::settings::StoreUrl;
use callgate::{Gate, IncomingMessage, Session, Settings, Singleton};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The handler table. Usually a file: `handlers.json`.
const TABLE: &str = r#"[
    { "class": "Greeter", "method": "hello", "regexPattern": "/hello/(?<name>[a-z]+)$", "verbs": "GET" }
]"#;

/// State shared by all requests: one instance for the life of the program.
#[derive(Default)]
struct Greeter {
    greeted: AtomicU64,
}

/// Runs once per request. Writes to the session are saved after it returns.
async fn hello(
    greeter: Arc<Greeter>,
    request: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    let name = request.param("name").unwrap_or("stranger");
    let before = session.get("name");
    session.set("name", name)?;
    let number = greeter.greeted.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(json!({ "hello": name, "visitor": number, "youWere": before }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Without this line sessions are stored in the folder `data` and survive a restart.
    let settings = Settings { store: StoreUrl::Memory, ..Settings::default() };
    let greeter = Singleton::new("Greeter", Greeter::default()).method("hello", hello);
    let gate = Gate::builder(settings).table(TABLE).singleton(greeter).open().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);

    // A real program stops at tokio::signal::ctrl_c(). This one stops after three requests from a
    // client that needs no socket, which is also how handlers are tested.
    let client = gate.client();
    let requests = async {
        for path in ["/hello/anna", "/hello/ada", "/goodbye"] {
            let response = client.get(path).send().await;
            println!("GET {path}: {} {}", response.status, response.text());
        }
    };
    gate.serve(listener, None, requests).await;
    Ok(())
}
