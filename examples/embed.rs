//! Embeds callgate in a program, with a native handler. Run: `cargo run --example embed`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use callgate::prelude::*;
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
    session.set("name", name)?;
    let number = greeter.greeted.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(json!({ "hello": name, "visitor": number }))
}

/// A real program stops at `tokio::signal::ctrl_c()`; this one after a request of its own.
fn one_request(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!("GET /hello/ada HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Without the setting `store`, sessions are kept in the folder `data` and survive a restart.
    let settings: Settings = "store = 'memory:'".parse()?;
    let greeter = Singleton::new("Greeter", Greeter::default()).method("hello", hello);
    let gate = Gate::builder(settings).table(TABLE).singleton(greeter).open().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let request = tokio::task::spawn_blocking(move || one_request(address));
    gate.serve(listener, async { println!("{:?}", request.await) }).await;
    Ok(())
}
