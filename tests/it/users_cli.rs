//! `callgate users` as an operator runs it, against gates that serve, and what the operator's API
//! for accounts refuses.

use std::fs::File;
use std::process::Command;
use std::process::Stdio;

use callgate::Settings;
use callgate::base::Clock;
use callgate::base::clock::SystemClock;
use callgate::base::secret::SecretText;
use callgate::session::Keyring;
use callgate::store::Store;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::log::Log;
use crate::support::program;
use crate::support::settings;
use crate::support::wire::Served;

const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";
const PASSWORD: &str = "correct horse battery staple, and nobody else's 0123";

/// A gate that serves, and a folder to run the program in.
struct Desk {
    served: Served,
    folder: TempDir,
}

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn told(&self) -> &str {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{self:?}");
        &self.out
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.told()).unwrap()
    }
}

impl Desk {
    async fn start() -> Self {
        let keys = vec![SecretText::new(KEY.to_owned())];
        let mut settings = Settings { keys, ..settings() };
        (settings.accounts.memory_kib, settings.accounts.passes) = (64, 1);
        let served = Served::start(settings).await;
        let clock = &served.house.clock;
        clock.advance(SystemClock.now().since(clock.now()));
        served.house.ledger.add(KEY);
        served.house.ledger.add(PASSWORD);
        Self { served, folder: tempfile::tempdir().unwrap() }
    }

    /// Runs `callgate users` with this standard input. No output has a password.
    async fn run(&self, words: &[&str], input: &str) -> Ended {
        let path = self.folder.path().join("input");
        std::fs::write(&path, input).unwrap();
        let internal = self.served.internal.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.arg("users").args(words).args(["--internal", &internal]);
        command.current_dir(self.folder.path()).env_clear().env("CALLGATE_KEYS", KEY);
        let ran = tokio::task::spawn_blocking(move || {
            program::fed(&mut command, Stdio::from(File::open(path).unwrap()))
        });
        let output = ran.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!self.served.house.ledger.is_told_in(&format!("{out}{err}")), "{out}{err}");
        Ended { code: output.status.code(), out, err }
    }

    /// What is stored under this key.
    async fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let store = &self.served.house.store;
        store.read_records(vec![key.to_owned()]).await.unwrap().pop().flatten()
    }
}

#[tokio::test]
async fn accounts_are_added_listed_and_granted_roles() {
    let desk = Desk::start().await;
    let none = desk.run(&["list"], "").await;
    assert_eq!(none.told(), "there is no account; callgate users add LOGIN makes one\n");
    let words = ["add", "Ada", "--name", "Ada Lovelace", "--email", "ada@example.com"];
    let added = desk.run(&[&words[..], &["--role", "sales"]].concat(), PASSWORD).await;
    assert_eq!(added.told(), "Ada can sign in\n");
    let again = desk.run(&["add", "aDA"], "another good one\n").await;
    assert_eq!((again.code, &*again.out), (Some(65), ""));
    assert!(again.err.contains("There is an account with this login."), "{again:?}");

    let words = ["grant", "ada", "--role", "boss", "--role", "SALES", "--group", "Berlin office"];
    let granted = desk.run(&words, "").await;
    assert!(granted.told().lines().any(|line| line.contains("sales, boss")), "{granted:?}");
    desk.run(&["grant", "ada", "--role", "Sales", "--revoke"], "").await.told();
    let list = desk.run(&["list", "--format", "json"], "").await.json();
    let ada = &list["users"][0];
    assert_eq!(ada["roles"], json!(["boss"]));
    assert_eq!((&ada["login"], &ada["groups"]), (&json!("Ada"), &json!(["Berlin office"])));
    assert_eq!(list["users"].as_array().unwrap().len(), 1);
    for command in ["grant", "passwd"] {
        let words = [command, "nobody"];
        let words = if command == "grant" {
            [&words[..], &["--role", "x"]].concat()
        } else {
            words.to_vec()
        };
        let unknown = desk.run(&words, PASSWORD).await;
        assert_eq!(unknown.code, Some(67), "{unknown:?}");
        assert!(unknown.err.contains("there is no account \"nobody\""), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_password_comes_from_standard_input_and_the_server_gets_its_hash() {
    let (log, _capture) = Log::capture();
    let desk = Desk::start().await;
    desk.run(&["add", "ada", "--no-password"], "").await.told();
    let list = desk.run(&["list", "--format", "json"], "").await.json();
    let key = format!("password:{}", list["users"][0]["id"].as_str().unwrap());
    assert_eq!(desk.stored(&key).await, None);
    let said = desk.run(&["passwd", "ADA"], &format!("{PASSWORD}\r\n")).await;
    assert_eq!(said.told(), "ADA has a new password\n");
    let stored: Value = serde_json::from_slice(&desk.stored(&key).await.unwrap()).unwrap();
    let hash = stored["password"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "of its own settings: {hash}");
    assert!(!log.text().contains(PASSWORD) && !log.text().contains(hash));
    let argument = desk.run(&["passwd", "ada", PASSWORD], "").await;
    assert_eq!(argument.code, Some(64));
}

#[tokio::test]
async fn a_password_that_is_not_accepted_says_why_and_creates_nothing() {
    let desk = Desk::start().await;
    for (login, input, why) in [
        ("ada", "short", "it has fewer than 8 characters"),
        ("ada.lovelace", "Ada.Lovelace\n", "it is the login"),
        ("ada", "ada@example.com\n", "it is the login, the address"),
    ] {
        let refused = desk.run(&["add", login, "--email", "ada@example.com"], input).await;
        assert_eq!((refused.code, &*refused.out), (Some(65), ""), "{refused:?}");
        assert!(refused.err.contains(why), "{refused:?}");
    }
    let none = desk.run(&["add", "ada"], "\n").await;
    assert_eq!(none.code, Some(64), "{none:?}");
    let longer = desk.run(&["add", "ada", "--accounts-password-min", "60"], PASSWORD).await;
    assert!(longer.err.contains("fewer than 60 characters"), "{longer:?}");
    let bad = desk.run(&["add", "ada", "--email", "nowhere"], PASSWORD).await;
    assert_eq!(bad.code, Some(65), "{bad:?}");
    assert_eq!(desk.run(&["list"], "").await.told().lines().count(), 1);
}

/// The credential is for the target, and the target names the body.
#[tokio::test]
async fn a_body_that_was_changed_on_the_way_changes_nothing() {
    let desk = Desk::start().await;
    desk.run(&["add", "ada"], PASSWORD).await.told();
    let ring = Keyring::read("callgate", &[SecretText::new(KEY.to_owned())]).unwrap();
    let sent = r#"{"grant":{"roles":["guest"]}}"#;
    let digest = "0".repeat(64);
    for (target, body, status) in [
        (format!("/users/ada?body={digest}"), sent, 400),
        ("/users/ada".to_owned(), sent, 400),
        ("/users/ada?body=zz".to_owned(), sent, 400),
        ("/users".to_owned(), "{}", 400),
    ] {
        let method = if target == "/users" { "POST" } else { "PATCH" };
        let now = desk.served.house.clock.now();
        let credential = ring.operator((method, &target), now).expose().to_owned();
        let mut wire = desk.served.connect_inside().await;
        wire.send(format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Callgate {credential}\
             \r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    let list = desk.run(&["list", "--format", "json"], "").await.json();
    assert_eq!(list["users"][0]["roles"], json!([]));
}

/// Whoever else has a session of the account keeps nothing of it.
#[tokio::test]
async fn a_new_password_or_a_lost_role_ends_the_sessions_of_the_account() {
    let (log, _capture) = Log::capture();
    let desk = Desk::start().await;
    desk.run(&["add", "ada", "--role", "boss"], PASSWORD).await.told();
    desk.run(&["add", "grace"], PASSWORD).await.told();
    let signed_in = async |login: &str| {
        let visitor = desk.served.house.visitor();
        let call = visitor.post("/rest/$directory/login").header("username-4D", login);
        assert_eq!(call.header("password-4D", PASSWORD).send().await.json()["result"], true);
        visitor
    };
    let grace = signed_in("grace").await;
    let revoke = ["grant", "ada", "--role", "boss", "--revoke"];
    for words in [&revoke[..], &["passwd", "ada"]] {
        let ada = signed_in("ada").await;
        desk.run(words, PASSWORD).await.told();
        let answer = ada.get("/rest/$directory/currentUser").send().await;
        assert_eq!(answer.json(), json!({ "result": null }), "{words:?}");
    }
    let answer = grace.get("/rest/$directory/currentUser").send().await;
    assert_eq!(answer.json()["result"]["userName"], "grace");
    let ended = log.of("account.sessions_ended");
    assert_eq!(ended.iter().map(|it| &it["sessions"]).collect::<Vec<_>>(), [1, 1]);
    let changed = log.of("account.password_changed");
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["user"], ended[1]["user"]);
}
