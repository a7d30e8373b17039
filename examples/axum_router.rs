//! A gate behind the routes of an axum router. Run: `cargo run --example axum_router`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::get;
use callgate::Listeners;
use callgate::prelude::*;
use tokio::sync::oneshot;
use tower::ServiceExt;

const TABLE: &str = r#"[{ "class": "Shop", "method": "visit", "pattern": "visit" }]"#;

async fn visit(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<String, HandlerError> {
    let visits = session.get::<u64>("visits")?.unwrap_or_default() + 1;
    session.set("visits", visits)?;
    Ok(format!("visit {visits}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Nothing tells a gate its address here, so callback URLs need `public_origin`.
    let settings = "store = 'memory:'\npublic_origin = 'https://shop.example'".parse()?;
    let shop = Singleton::new("Shop", ()).method("visit", visit);
    let gate = Gate::builder(settings).table(TABLE).singleton(shop).open().await?;

    // What axum has a route for is axum's; the rest goes to the table. A real program passes the
    // router to `axum::serve`, with a layer that inserts a `callgate::ConnInfo` into each request.
    let router =
        Router::new().route("/about", get(async || "this is axum")).fallback_service(gate.clone());
    // Removes expired sessions and takes changed files, until the program stops.
    let (shutdown, stopped) = oneshot::channel::<()>();
    let work = tokio::spawn(async move {
        gate.serve(Listeners::none(), async { stopped.await.unwrap_or(()) }).await
    });

    for path in ["/about", "/visit", "/elsewhere"] {
        let request = Request::get(path).header("host", "shop.example").body(Body::empty())?;
        let response = router.clone().oneshot(request).await?;
        let (status, cookie) = (response.status(), response.headers().contains_key("set-cookie"));
        let body = to_bytes(response.into_body(), 1024).await?;
        println!("{path}: {status}, cookie: {cookie}, {}", String::from_utf8_lossy(&body));
    }
    drop(shutdown);
    println!("{:?}", work.await?);
    Ok(())
}
