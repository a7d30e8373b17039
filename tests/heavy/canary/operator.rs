//! An operator at work on the server, over its internal listener and with the program.

use std::path::Path;
use std::process::Command;

use callgate::base::Clock;
use callgate::base::clock::SystemClock;
use callgate::base::secret::SecretText;
use callgate::session::Keyring;
use tokio::task::spawn_blocking;

use super::flows::Visit;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;

/// Looks at everything, ends something, and shows wrong credentials too. What is answered and
/// printed becomes a page of the visit; the right credential becomes a secret.
///
/// Unless he is `careful` he takes a token for the name of a session, too. Nothing tells these
/// apart, so a store looks for it, and the log of a database that notes every parameter has it.
pub(super) async fn operate(server: &Server, visit: &mut Visit, key: &str, careful: bool) {
    let ring = Keyring::read("callgate", &[SecretText::new(key.to_owned())]).unwrap();
    let other = key.chars().rev().collect();
    let wrong = Keyring::read("callgate", &[SecretText::new(other)]).unwrap();
    let token = visit.mint().await;
    visit.mint().await;
    let mut inside = Connection::open(server.internal.unwrap()).await.unwrap();
    let sessions = ask(&mut inside, visit, Ask::get("/sessions"), &ring).await;
    let id = sessions["sessions"][0]["id"].as_str().unwrap().to_owned();
    let tokens = ask(&mut inside, visit, Ask::get("/tokens"), &ring).await;
    let name = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    for (verb, target) in [
        ("GET", format!("/sessions/{id}")),
        ("GET", format!("/sessions/{}", if careful { &id } else { &token })),
        ("DELETE", format!("/tokens/{name}")),
        ("DELETE", format!("/tokens/{token}")),
        ("DELETE", format!("/sessions/{id}")),
    ] {
        for ring in [&wrong, &ring] {
            ask(&mut inside, visit, Ask::new(verb, &target), ring).await;
        }
    }
    let internal = server.internal.unwrap().to_string();
    for (words, key) in [("sessions list", key), ("tokens list", key), ("sessions list", &key[1..])]
    {
        let output = spawn_blocking(command(words, &internal, key)).await.unwrap();
        visit.pages.push((format!("callgate {words}"), output));
    }
}

async fn ask(
    inside: &mut Connection,
    visit: &mut Visit,
    ask: Ask,
    ring: &Keyring,
) -> serde_json::Value {
    let line = ask.line();
    let mut words = line.split(' ');
    let asked = (words.next().unwrap(), words.next().unwrap());
    let shown = ring.operator(asked, SystemClock.now());
    let shown = shown.expose();
    // The part before the dot is a moment, which is no secret.
    visit.secrets.add_key(shown.split_once('.').unwrap().1);
    let ask = ask.header("Authorization", &format!("Callgate {shown}"));
    let reply = inside.ask(&ask).await.unwrap();
    let page = [reply.head.as_bytes(), &reply.body].concat();
    visit.pages.push((ask.line(), page));
    reply.json()
}

fn command(words: &str, internal: &str, key: &str) -> impl FnOnce() -> Vec<u8> + Send + 'static {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(words.split(' ')).args(["--internal", internal]);
    command
        .current_dir(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .env_clear()
        .env("CALLGATE_KEYS", key);
    move || {
        let output = command.output().unwrap();
        [output.stdout, output.stderr].concat()
    }
}
