//! A handler that does one thing to its session after others have had time to put it out.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use callgate::IncomingMessage;
use callgate::OutgoingMessage;
use callgate::Session;
use callgate::http::HandlerError;
use callgate::http::session::Privileges;
use callgate::token::MintOptions;
use serde_json::json;

use super::Probe;
use super::pause;
use super::query;
use super::whoami;

/// Comes to the door, waits, and does what its query says.
pub(super) async fn act(
    probe: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    probe.pass().await;
    act_at_once(probe, request, session).await
}

/// The same without a door.
pub(super) async fn act_at_once(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    pause(&request).await?;
    for deed in query(&request, "do").split(',') {
        one(&session, deed, &request).await?;
    }
    Ok(whoami(&request, &session))
}

async fn one(session: &Session, deed: &str, request: &IncomingMessage) -> Result<(), HandlerError> {
    let keep = |keep_devices| Privileges { keep_devices, ..Privileges::from("admin") };
    match deed {
        "write" => session.set("n", "written")?,
        "remove" => session.remove("n"),
        "idle" => session.set_idle_timeout(600),
        "clear" => session.clear_privileges(),
        "update" => drop(session.update("n", |_| json!("updated")).await?),
        "mint" => drop(session.create_otp(MintOptions::default()).await?),
        "login" => session.set_privileges(keep(false))?,
        "keep" => session.set_privileges(keep(true))?,
        "rename" => {
            let user_name = Some("Mallory".to_owned());
            let wish = Privileges { user_name, keep_devices: true, ..Privileges::default() };
            session.set_privileges(wish)?;
        }
        "logout" => session.logout().await?,
        "reload" => drop(session.reload().await?),
        "end" => {
            for device in session.devices() {
                session.end_device(device.id).await?;
            }
        }
        "restore" => _ = session.restore(&query(request, "token")).await?,
        "peek" => {
            session.set("n", "written")?;
            let mut minting = Box::pin(session.create_otp(MintOptions::default()));
            let minted = poll_fn(|context| Poll::Ready(minting.as_mut().poll(context))).await;
            if minted.is_ready() || session.get("n")? != Some(json!("written")) {
                return Err(HandlerError::new("what is being written is not shown"));
            }
        }
        "abandon" => abandon(session).await?,
        "parallel" => {
            let (token, n, k, read) = tokio::join!(
                session.create_otp(MintOptions::default()),
                session.update("n", |_| json!("updated")),
                session.update("k", |_| json!("updated")),
                session.reload(),
            );
            token?;
            n?;
            k?;
            read?;
        }
        "stamp" => {
            let value = query(request, "value");
            session.update(&query(request, "key"), |_| json!(value)).await?;
        }
        // Ends all other rights and says so in the same step.
        "rise" => {
            let epoch = query(request, "epoch");
            session.set("epoch", &epoch)?;
            session
                .set_privileges(Privileges { user_name: Some(epoch), ..Privileges::default() })?;
            session.update("rose", |_| json!(true)).await?;
        }
        "mark" => {
            let epoch = query(request, "epoch");
            session.update("epoch", |_| json!(epoch)).await?;
        }
        "nothing" => {}
        other => return Err(HandlerError::new(format!("nobody knows how to {other}"))),
    }
    Ok(())
}

/// Begins to mint a token, which stores what was written, and leaves it at that.
async fn abandon(session: &Session) -> Result<(), HandlerError> {
    session.set("n", "written")?;
    let session = session.clone();
    let mut minting = Box::pin(async move { session.create_otp(MintOptions::default()).await });
    let minted = poll_fn(|context| Poll::Ready(minting.as_mut().poll(context))).await;
    if minted.is_ready() {
        return Err(HandlerError::new("the write is over"));
    }
    // Nobody polls it again, and it is not dropped before the response.
    tokio::spawn(async move {
        let _held = minting;
        std::future::pending::<()>().await;
    });
    Ok(())
}
