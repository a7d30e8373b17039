//! A handler that takes money, so that its runs are counted: what a payment platform calls back.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use callgate::IncomingMessage;
use callgate::OutgoingMessage;
use callgate::Session;
use callgate::http::Raised;

use super::Probe;
use super::query;

/// Counts its run, does what its query says, and answers with what no other run answers.
pub(super) async fn pay(
    probe: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let run = probe.runs.fetch_add(1, Ordering::SeqCst) + 1;
    let asked = |name: &str| query(&request, name);
    if !asked("log").is_empty() {
        record(&asked("log"), &asked("n"))?;
    }
    session.set("paid", run)?;
    // A header is no part of what makes two callbacks the same.
    if !asked("wait").is_empty() || !request.header("x-wait").is_empty() {
        probe.pass().await;
    }
    if !asked("logout").is_empty() {
        session.logout().await?;
    }
    let more = "x".repeat(asked("bytes").parse().unwrap_or(0));
    let mut message = OutgoingMessage::new()
        .with_body(format!("run {run} of {}{more}", session.id()))
        .with_status(201)?
        .with_header("Set-Cookie", "basket=1; Path=/")?
        .with_header("Set-Cookie", "till=2; Path=/")?
        .with_header("x-outcome", request.otp().name())?;
    if !asked("token").is_empty() {
        message.set_header("Location", &asked("token"))?;
    }
    Ok(message)
}

/// Writes the run down where it outlives the process, before anything is answered.
fn record(file: &str, n: &str) -> Result<(), Raised> {
    let mut file = std::fs::File::options().create(true).append(true).open(file)?;
    file.write_all(format!("{n}\n").as_bytes())?;
    Ok(file.sync_data()?)
}
